"""Clean dialogues by a table of rules, and turn decoded text into the summary that is scored.

The rules are a table: each has a name, runs in this order, and counts what it changed. They bring
a dialogue to one form (one ``#Person1#: …`` line a turn) and leave alone what people wrote, such
as typing errors and ㅋㅋ. ``clean(clean(x)) == clean(x)`` for every text. References are never
cleaned: the raw ones are what the contest scores.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

TAG = r"#[A-Za-z]+[0-9]*#"
"""Any tag of the contest, such as ``#Person1#`` or ``#PhoneNumber#``."""

SPEAKER = r"#Person[0-9]+#"
"""A tag that can head a turn."""


class CleaningRule(NamedTuple):
    """One step of the clean-up; ``apply`` gives the new text and the number of places changed."""

    name: str
    apply: Callable[[str], tuple[str, int]]


class Cleaned(NamedTuple):
    """A text after all rules, and the number of places that each rule changed, if any."""

    text: str
    counts: dict[str, int]


def _replace(
    name: str, pattern: str, replacement: str | Callable[[re.Match[str]], str]
) -> CleaningRule:
    compiled = re.compile(pattern, re.MULTILINE)
    return CleaningRule(name, lambda text: compiled.subn(replacement, text))


_FOLLOWED = re.compile(rf"^{SPEAKER}:\n(?={SPEAKER}:)", re.MULTILINE)
_LAST = re.compile(rf"(?:\A|\n){SPEAKER}:\Z")


def _drop_empty_turns(text: str) -> tuple[str, int]:
    text, followed = _FOLLOWED.subn("", text)
    text, last = _LAST.subn("", text)
    return text, followed + last


def _compose(text: str) -> tuple[str, int]:
    composed = unicodedata.normalize("NFC", text)
    return composed, int(composed != text)


def _join(lines: re.Match[str]) -> str:
    return lines[0].replace("\n", " ")


# A colon ends a speaker's tag anywhere. A dash or a bar does so only at the start of a line and
# before a blank, because "#Person1#-#Person2#" also occurs inside sentences.
_COLON = r"\s*[:：﹕∶;；]"
_DASH = r" ?[-–—|>](?= )"

RULES = (
    # Zero-width joiners (U+200C, U+200D) stay: they are part of emoji.
    _replace(
        "invisible",
        "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u200b\u200e\u200f"
        "\u202a-\u202e\u2060-\u2069\ufeff]",
        "",
    ),
    CleaningRule("nfc", _compose),
    _replace("line-end", "\r\n|[\r\v\f\x1c-\x1f\x85\u2028\u2029]", "\n"),
    # The lookbehind keeps a long run of backslashes from being tried at each of its places.
    _replace("literal-newline", r"\\(?<!\\\\)(?:\\*r\\+n|\\*n)", "\n"),
    _replace("html-break", r"(?i)<br\s*/?>", "\n"),
    _replace("blanks", r"[^\S\n]{2,}|[^\S\n ]", " "),
    _replace("speaker-inside-line", rf"(?<=[^\n ]) ?(?={SPEAKER}\s*[:：])", "\n"),
    _replace("speaker-separator", rf"^ ?({SPEAKER})(?!:(?: \S|$))(?:{_COLON}|{_DASH}) ?", r"\1: "),
    _replace("edge-blanks", r"^ | $", ""),
    _replace("blank-lines", r"\A\n+|\n+\Z|(?<=\n)\n+", ""),
    CleaningRule("empty-turn", _drop_empty_turns),
    # Once a speaker has been named, an untagged line goes on with what was said before it.
    _replace("continued-line", rf"^{SPEAKER}:.*(?:\n(?!{SPEAKER}:).*)+", _join),
)
"""Every clean-up rule, in order."""


def clean(text: str) -> Cleaned:
    """Apply every rule to a dialogue and return it with what each rule changed.

    The result has one turn a line: ``#PersonN#: …``, or the bare line where no speaker is named
    before it.
    """
    counts = {}
    for rule in RULES:
        text, changed = rule.apply(text)
        if changed:
            counts[rule.name] = changed
    return Cleaned(text, counts)


# What a tokenizer with added tag tokens separates from a tag: particles, alone or in a row
# ("에게서는", "님의", "은(는)"), and closing punctuation. "#Person1# 모두" is two words and stays.
PARTICLE = (
    "은|는|이|가|을|를|과|와|의|에|에게|에게서|에서|께|께서|한테|도|만|만큼|로|으로|로부터|으로부터"
    "|보다|처럼|부터|까지|랑|이랑|이나|나|인|님"
)
_PARTED = re.compile(
    rf"({TAG}) (?=(?:{PARTICLE}){{1,3}}(?:\([은는이가을를과와]\))?(?![가-힣])|[.,!?)\]…'\"])"
)


INCOMPLETE_CHARACTER = "\ufffd"
"""U+FFFD, which decoders write for bytes that are no whole character."""


def summary_of(decoded: str, *, tags_are_tokens: bool = False) -> str:
    """Return the summary that is scored and submitted, from a model's decoded text.

    One line in NFC without blanks at its ends; a clean one-line summary comes back unchanged.
    U+FFFD, which a decoder writes for the bytes of an incomplete character, is left out.

    Args:
        decoded: the text after special tokens were left out by id.
        tags_are_tokens: the tokenizer has tokens of its own for tags. Its decoding then puts a
            blank between ``#Person1#`` and the particle after it, which is taken out again.
    """
    lines = unicodedata.normalize("NFC", decoded).replace(INCOMPLETE_CHARACTER, "").splitlines()
    text = " ".join(filter(None, (line.strip() for line in lines)))
    return _PARTED.sub(r"\1", text) if tags_are_tokens else text
