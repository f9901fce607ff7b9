"""Checks of one summary: each returns the offending text, or ``None``."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from yoyak.metrics.diagnostics import text_patterns
from yoyak.metrics.speaker_tags import TAG

_SPEAKER_LINE = re.compile(rf"(?:^|\s){text_patterns.SPEAKER.pattern}\s*:\s")

# Tokens as their tokenizers spell them: sentencepiece and BERT families, koBART's <usr>/<sys> and
# <unused0>…, ChatML and Llama 3 <|…|>, Llama 2 [INST], Gemma turns, T5 sentinels, byte fallback,
# and the marks that stand for a blank or a line break inside a vocabulary (▁ Ġ Ċ).
_MODEL_TOKEN = re.compile(
    r"<\|[^|<>]{1,40}\|>|<0x[0-9A-Fa-f]{2}>"
    r"|</?(?:s|pad|unk|mask|bos|eos|cls|sep|usr|sys|think|d|start_of_turn|end_of_turn"
    r"|unused_?\d+|extra_id_\d+)>"
    r"|\[/?(?:CLS|SEP|PAD|UNK|MASK|BOS|EOS|INST|unused\d+)\]|<</?SYS>>|[▁ĠĊ]"
)
_NAN = frozenset({"nan", "none", "null", "na", "n/a", "#n/a", "<na>", "nat"})
_BREAK = re.compile("[\n\r\t\v\f\x1c-\x1e\x85\u2028\u2029]")
_LITERAL_BREAK = re.compile(r"\\+[nrt](?![A-Za-z])|(?i:<br\s*/?>)")
# Zero-width joiners (U+200C, U+200D) are part of emoji and stay allowed.
_INVISIBLE = frozenset("\u00ad\u200b\u200e\u200f\u2060\ufeff\ufffd")


def empty(text: str) -> str | None:
    """Find a text that is empty or only blanks."""
    return None if text.strip() else repr(text)


def nan_like(text: str) -> str | None:
    """Find a missing value that became a word (``nan``, ``None``)."""
    return text if text.strip().casefold() in _NAN else None


def line_break(text: str) -> str | None:
    """Find a line break or tab inside the summary."""
    found = _BREAK.search(text.strip())
    return found and repr(_around(text.strip(), found))


def literal_break(text: str) -> str | None:
    r"""Find a written-out ``\n`` or ``<br>``."""
    return _first(_LITERAL_BREAK, text)


def edge_blank(text: str) -> str | None:
    """Find a blank at the start or the end."""
    if not text.strip() or text == text.strip():
        return None
    lead, trail = len(text) - len(text.lstrip()), len(text) - len(text.rstrip())
    return f"{text[: lead + 6]!r}…" if lead else f"…{text[-trail - 6 :]!r}"


def model_token(text: str) -> str | None:
    """Find a special token of a tokenizer, which decoding should have skipped by id."""
    return _first(_MODEL_TOKEN, text)


def control_character(text: str) -> str | None:
    """Find a control, private-use or invisible character, or U+FFFD."""
    for character in text:
        if character in _INVISIBLE or (
            unicodedata.category(character) in {"Cc", "Cs", "Co", "Cn"}
            and not _BREAK.match(character)
        ):
            return f"U+{ord(character):04X}"
    return None


def decomposed(text: str) -> str | None:
    """Find the first word that is not in NFC, such as Hangul in separate jamo (macOS)."""
    if unicodedata.is_normalized("NFC", text):
        return None
    words = (word for word in text.split() if not unicodedata.is_normalized("NFC", word))
    return next(words, text)


def prompt_echo(text: str, instructions: Iterable[str] = ()) -> str | None:
    """Find pieces of a prompt template, or a line of the instruction itself."""
    for line in instructions:
        if len(line) >= 10 and line in text:
            return line
    return _span(text_patterns.prompt_echo(_MODEL_TOKEN.sub("", text), None))


def foreign_script(text: str) -> str | None:
    """Find Hanja, kana, Cyrillic, Thai or Arabic; Latin is allowed, as names need it."""
    return _span(text_patterns.foreign_script(text))


def malformed_tag(text: str) -> str | None:
    """Find remains of a broken tag: ``#Person1``, ``Person 1``."""
    return _span(text_patterns.malformed_tags(text))


def repetition(text: str) -> str | None:
    """Find a repeated piece, sentence or trigram."""
    return _span(text_patterns.repetition(text))


def untagged(text: str) -> str | None:
    """Find a text without any tag."""
    return None if TAG.search(text) else text


def unfinished(text: str) -> str | None:
    """Find an ending in the middle of a sentence."""
    found = text_patterns.unfinished(text)
    return None if found is None else f"…{text[max(0, found.start - 12) :]}"


def unknown_tag(text: str, dialogue: str) -> str | None:
    """Find a tag that the dialogue does not have."""
    known = set(TAG.findall(dialogue))
    return next((tag for tag in TAG.findall(text) if tag not in known), None)


def dialogue_echo(text: str, dialogue: str) -> str | None:
    """Find a turn of the dialogue (``#Person1#: …``), or one of 20 characters verbatim."""
    found = _first(_SPEAKER_LINE, text)
    if found:
        return found
    turns = (line.partition(": ")[2].strip() for line in dialogue.splitlines())
    return next((turn for turn in turns if len(turn) >= 20 and turn in text), None)


def _span(found: Sequence[text_patterns.TextSpan]) -> str | None:
    return found[0].text if found else None


def _first(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return found and found[0]


def _around(text: str, found: re.Match[str]) -> str:
    return text[max(0, found.start() - 8) : found.end() + 8]
