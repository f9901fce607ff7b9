"""Find patterns in a summary's text alone: tags, scripts, endings, repetition, register.

Every finder returns spans of the text as given. All of it is pattern matching on written Korean;
where a pattern is a heuristic, it says so.
"""

import re
from collections import Counter
from collections.abc import Iterator
from enum import StrEnum

from yoyak.metrics.speaker_tags import TAG
from yoyak.values import Value

SPEAKER = re.compile(r"#Person[0-9]+#")
_TAG_NAMES = (
    "PhoneNumber|Address|DateOfBirth|PassportNumber|SSN|CardNumber|CarNumber|Email|PersonName"
)
_MALFORMED = re.compile(
    rf"#?\s?(?<![A-Za-z])(?:[Pp]erson\s?[0-9]+|{_TAG_NAMES})(?![A-Za-z])\s?#?"
    r"|(?:화자|발화자|[Ss]peaker)\s?[0-9A-D](?![0-9A-Za-z])|#"
)
_FOREIGN = re.compile(
    "(?P<kana>[\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f]+)"
    "|(?P<han>[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+)"
    "|(?P<cyrillic>[\u0400-\u052f]+)|(?P<thai>[\u0e00-\u0e7f]+)|(?P<arabic>[\u0600-\u06ff]+)"
)
_SENTENCE_END = re.compile(r"(?<=[가-힣\"'”’)#])[.!?。]+[\"'”’)]*(?=\s|$)")
_LOOP = re.compile(r"(?=\S)(.{2,60}?)\1{2,}", re.DOTALL)
_LETTER = re.compile(r"[가-힣A-Za-z]")
_PROMPT = re.compile(
    r"#{2,}\s?(?:Instruction|Input|Output|Response|지시|입력|출력)|<\|[a-z_]+\|>|\[/?INST\]"
    r"|</?(?:s|pad|usr|unk|bos|eos)>|\[대화\]|\[요약\]|다음 대화를 (?:읽고 )?요약|^\s*요약\s*:"
)
_ECHO_CHARACTERS = 10
_WRAPPER = re.compile(
    r"""\s*(?:\[\s*(?P<list>['"]).*(?P=list)\s*\]|b(?P<bytes>['"]).*(?P=bytes)|\{.*\}"""
    r"""|'[^']*'|"[^"]*"|“[^”]*”|‘[^’]*’|「[^」]*」|『[^』]*』"""
    r"""|```.*|\#{1,6}\s.*|\*{1,2}\S.*|[-*•]\s.*|>\s.*|<[a-zA-Z]+>.*)\s*""",
    re.DOTALL,
)
_MARKDOWN = re.compile(r"\*\*[^*\n]+\*\*|```")
_ODD_BLANK = re.compile(
    "[\u00a0\u00ad\u115f\u1160\u1680\u180e\u2000-\u200c\u200e\u200f\u2028-\u202f\u205f-\u2064"
    "\u3000\u3164\ufeff\uffa0]+|(?<![\u2600-\u27bf\ufe0f\U0001f000-\U0001faff])\u200d+"
)
_HANGUL = re.compile("[가-힣ㄱ-ㅎㅏ-ㅣ]")
_CLOSERS = " \t\n\"'”’)]」』"


class TextSpan(Value, frozen=True, kw_only=True):
    """A stretch of a summary, counted in characters from ``start`` to before ``end``."""

    start: int
    end: int
    text: str


class Register(StrEnum):
    """The speech level of a Korean sentence, read from its ending."""

    FORMAL = "formal"
    """합니다체, the news and announcement style."""
    PLAIN = "plain"
    """해라체, the style of written reports."""
    POLITE = "polite"
    """해요체, spoken."""
    INTIMATE = "intimate"
    """해체 (반말), spoken among friends."""
    NOUN = "noun"
    """명사형: 함, 음, 됨, or a bare noun; the style of notes."""


_ENDINGS = (
    (Register.FORMAL, re.compile(r"(?:니다|니까|시오)$")),
    (Register.POLITE, re.compile(r"(?:(?<![필소중주수개])요|죠)$")),
    (Register.PLAIN, re.compile(r"(?:다|는가|은가|인가)$")),
    (Register.NOUN, re.compile(r"(?:것|예정)$")),
    (Register.INTIMATE, re.compile(r"(?:[해어아야지네군걸래돼]|거든|잖아)$")),
)


def _span(match: re.Match[str]) -> TextSpan:
    return TextSpan(start=match.start(), end=match.end(), text=match.group())


def speakers(text: str) -> tuple[str, ...]:
    """Return the well-formed speaker tags, each once, in order of appearance."""
    return tuple(dict.fromkeys(SPEAKER.findall(text)))


def speaker_spans(text: str) -> tuple[TextSpan, ...]:
    """Return the span of every well-formed speaker tag."""
    return tuple(_span(match) for match in SPEAKER.finditer(text))


def malformed_tags(text: str) -> tuple[TextSpan, ...]:
    """Return tags that lost a part (``Person1#``), other words for them, and stray ``#``."""
    masked = TAG.sub(lambda match: "\x00" * len(match.group()), text)
    return tuple(_span(match) for match in _MALFORMED.finditer(masked))


def swap_speakers(text: str) -> str:
    """Exchange ``#Person1#`` and ``#Person2#``."""
    other = {"#Person1#": "#Person2#", "#Person2#": "#Person1#"}
    return re.sub("#Person[12]#", lambda match: other[match.group()], text)


def foreign_script(text: str) -> tuple[TextSpan, ...]:
    """Return runs of kana, Han, Cyrillic, Thai or Arabic; Latin is legitimate (names)."""
    return tuple(_span(match) for match in _FOREIGN.finditer(text))


def hangul_share(text: str) -> float | None:
    """Return the share of Hangul among letters, ``?`` and U+FFFD outside tags; None without any.

    ``?`` and U+FFFD count because they replace letters that an encoding could not hold; one ``?``
    at the end of a word is punctuation.
    """
    plain = re.sub(r"(?<=[^?\s])\?(?=\s|$)", "", TAG.sub(" ", text))
    letters = sum(letter.isalpha() or letter in "?\ufffd" for letter in plain)
    return len(_HANGUL.findall(plain)) / letters if letters else None


def wrappers(text: str) -> tuple[TextSpan, ...]:
    """Return what encloses or decorates a text: a list, ``b'…'``, JSON, quotes, Markdown, HTML."""
    whole = _WRAPPER.fullmatch(text)
    if whole is not None:
        return (_span(whole),)
    return tuple(_span(match) for match in _MARKDOWN.finditer(text))


def odd_blanks(text: str) -> tuple[TextSpan, ...]:
    """Return blanks other than U+0020 and line breaks, and invisible characters.

    U+200D inside an emoji sequence is legitimate.
    """
    return tuple(_span(match) for match in _ODD_BLANK.finditer(text))


def sentences(text: str) -> Iterator[TextSpan]:
    """Yield the sentences; a full stop after Latin or a digit ends none (Ms., 3.5)."""
    start = 0
    for match in _SENTENCE_END.finditer(text):
        yield from _stripped(text, start, match.end())
        start = match.end()
    yield from _stripped(text, start, len(text))


def _stripped(text: str, start: int, end: int) -> Iterator[TextSpan]:
    piece = text[start:end]
    inner = piece.strip()
    if inner:
        begin = start + piece.index(inner[0])
        yield TextSpan(start=begin, end=begin + len(inner), text=inner)


def register(sentence: str) -> Register | None:
    """Return the speech level of a sentence by its last syllables (heuristic), if any.

    An ending that is no verb's, closed with a full stop, is the style of notes.
    """
    bare = sentence.rstrip(".!?。…" + _CLOSERS)
    if not bare:
        return None
    named = next((level for level, ending in _ENDINGS if ending.search(bare)), None)
    is_note = _ends_in_mieum(bare[-1]) or sentence.rstrip(_CLOSERS).endswith(".")
    return named or (Register.NOUN if is_note else None)


def _ends_in_mieum(syllable: str) -> bool:
    """Return whether a syllable's final consonant is ㅁ, the nominaliser (Unicode 3.12)."""
    return "가" <= syllable <= "힣" and (ord(syllable) - ord("가")) % 28 == 16


def unfinished(text: str) -> TextSpan | None:
    """Return the last word of a summary that stops in the middle of a sentence (heuristic).

    Finished is what ends in ``.``, ``!`` or ``?``, or in a sentence-final form without the full
    stop. An ellipsis counts as unfinished; an empty text is empty, not unfinished.
    """
    bare = text.rstrip(_CLOSERS)
    if not bare:
        return None
    ends_well = bare[-1] in ".!?。" and not bare.endswith("..")
    if ends_well or (bare[-1] not in ".…" and register(bare) not in {None, Register.INTIMATE}):
        return None
    start = max(bare.rfind(" "), bare.rfind("\n")) + 1
    return TextSpan(start=start, end=len(bare), text=bare[start:])


def repetition(text: str) -> tuple[TextSpan, ...]:
    """Return loops (a piece three times in a row), repeated sentences and word triples."""
    loops = [_span(match) for match in _LOOP.finditer(text) if _LETTER.search(match.group(1))]
    return (*loops, *_repeated_sentences(text), *_repeated_words(text)) if text else ()


def _repeated_sentences(text: str) -> list[TextSpan]:
    seen: set[str] = set()
    again = []
    for sentence in sentences(text):
        if sentence.text in seen and len(sentence.text) >= _ECHO_CHARACTERS:
            again.append(sentence)
        seen.add(sentence.text)
    return again


def _repeated_words(text: str) -> list[TextSpan]:
    words = list(re.finditer(r"\S+", text))
    if max(Counter(word.group() for word in words).values(), default=0) < 3:
        return []
    triples = list(zip(words, words[1:], words[2:], strict=False))
    counts = Counter(tuple(word.group() for word in triple) for triple in triples)
    again = {triple for triple, count in counts.items() if count >= 3}
    last = {tuple(word.group() for word in triple): triple for triple in triples}
    return [
        TextSpan(
            start=last[key][0].start(),
            end=last[key][2].end(),
            text=text[last[key][0].start() : last[key][2].end()],
        )
        for key in again
    ]


def prompt_echo(text: str, dialogue: str | None) -> tuple[TextSpan, ...]:
    """Return pieces of a prompt or chat template, and whole lines copied from the dialogue."""
    found = [_span(match) for match in _PROMPT.finditer(text)]
    for line in (dialogue or "").splitlines():
        start = text.find(line) if len(line) >= _ECHO_CHARACTERS + len("#Person1#: ") else -1
        if start >= 0:
            found.append(TextSpan(start=start, end=start + len(line), text=line))
    return tuple(found)
