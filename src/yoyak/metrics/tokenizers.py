"""Cutting texts into tokens, under a name that says with which version of what.

There is no fallback: an analyser is the one that was asked for and cuts its golden sentences as
it should, or there is no score.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache, partial

from yoyak.errors import BadRecipe
from yoyak.metrics import mecab
from yoyak.metrics.mecab_batch import BatchTokenizer, MorphemeAnalyser


def _characters(texts: Sequence[str]) -> list[list[str]]:
    return [list("".join(text.split())) for text in texts]


def _words(texts: Sequence[str]) -> list[list[str]]:
    return [text.split() for text in texts]


def _ascii(texts: Sequence[str]) -> list[list[str]]:
    # rouge-score's DefaultTokenizer without stemming: what is not [a-z0-9] is lost.
    return [re.findall(r"[a-z0-9]+", text.lower()) for text in texts]


ANALYSERS: dict[str, Callable[[], MorphemeAnalyser]] = {
    "mecab": mecab.mecab,
    "mecab-stock": mecab.mecab_stock,
    "kiwi": partial(mecab.kiwi, hashtags=False),
    "kiwi-hashtag": partial(mecab.kiwi, hashtags=True),
    "char": lambda: BatchTokenizer("char-1", _characters),
    "space": lambda: BatchTokenizer("space-1", _words),
    "ascii-forced": lambda: BatchTokenizer("ascii-1", _ascii),
}
"""Every analyser by name. ``ascii-forced`` exists only to show what it does to Korean."""


def check_name(name: str) -> None:
    """Raises BadRecipe unless ``name`` is an analyser that may be used."""
    if name == "ascii":
        raise BadRecipe("metrics.ascii-refused")
    if name not in ANALYSERS:
        raise BadRecipe("metrics.unknown-analyser", name=name, known=", ".join(ANALYSERS))


@cache
def load(name: str = "mecab") -> MorphemeAnalyser:
    """The analyser called ``name``, made and verified once a process.

    Raises:
        BadRecipe: no analyser has this name, or it is one that drops Hangul.
        Unavailable: its library is missing, or it does not cut its golden sentences as it should.
    """
    check_name(name)
    return ANALYSERS[name]()
