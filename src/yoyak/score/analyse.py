"""Cutting texts into tokens, under a name that says with which version of what.

There is no fallback: an analyser is the one that was asked for and cuts its golden sentences as
it should, or there is no score.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Protocol

from yoyak.errors import BadRecipe, Unavailable

_SURROGATE = re.compile("[\ud800-\udfff]")


class Analyser(Protocol):
    """Something that cuts texts into tokens.

    ``id`` is name, version and dictionary as resolved, such as
    ``mecab-ko-1.3.7/dic-2.1.1.post2+1a2b3c4d``: equal ids promise equal tokens.
    """

    @property
    def id(self) -> str:
        """Name, version and dictionary of what cuts."""
        ...

    def tokens(self, texts: Sequence[str]) -> list[list[str]]:
        """The tokens of every text, in order."""
        ...


class Cutter:
    """An analyser made of a function over legible texts."""

    def __init__(self, identity: str, cut: Callable[[Sequence[str]], list[list[str]]]) -> None:
        self.id = identity
        self._cut = cut

    def tokens(self, texts: Sequence[str]) -> list[list[str]]:
        """The tokens of every text, in order."""
        return self._cut(legible(texts))


def legible(texts: Sequence[str]) -> Sequence[str]:
    """``texts`` with NUL read as a blank and lone surrogates as U+FFFD, else unchanged.

    MeCab stops at a NUL without a word, and neither MeCab nor Kiwi accepts a lone surrogate.
    """
    joined = "".join(texts)
    if "\0" not in joined and not _SURROGATE.search(joined):
        return texts
    return [_SURROGATE.sub("\ufffd", text.replace("\0", " ")) for text in texts]


def _characters(texts: Sequence[str]) -> list[list[str]]:
    return [list("".join(text.split())) for text in texts]


def _words(texts: Sequence[str]) -> list[list[str]]:
    return [text.split() for text in texts]


def _ascii(texts: Sequence[str]) -> list[list[str]]:
    # rouge-score's DefaultTokenizer without stemming: what is not [a-z0-9] is lost.
    return [re.findall(r"[a-z0-9]+", text.lower()) for text in texts]


def _mecab() -> Analyser:
    from yoyak.score import morphs

    return morphs.mecab()


def _mecab_stock() -> Analyser:
    from yoyak.score import morphs

    return morphs.mecab_stock()


def _kiwi() -> Analyser:
    from yoyak.score import morphs

    return morphs.kiwi(hashtags=False)


def _kiwi_hashtag() -> Analyser:
    from yoyak.score import morphs

    return morphs.kiwi(hashtags=True)


ANALYSERS: dict[str, Callable[[], Analyser]] = {
    "mecab": _mecab,
    "mecab-stock": _mecab_stock,
    "kiwi": _kiwi,
    "kiwi-hashtag": _kiwi_hashtag,
    "char": lambda: Cutter("char-1", _characters),
    "space": lambda: Cutter("space-1", _words),
    "ascii-forced": lambda: Cutter("ascii-1", _ascii),
}
"""Every analyser by name. ``ascii-forced`` exists only to show what it does to Korean."""


def check_name(name: str) -> None:
    """Raises BadRecipe unless ``name`` is an analyser that may be used."""
    if name == "ascii":
        raise BadRecipe("score.ascii-refused")
    if name not in ANALYSERS:
        raise BadRecipe("score.unknown-analyser", name=name, known=", ".join(ANALYSERS))


@cache
def load(name: str = "mecab") -> Analyser:
    """The analyser called ``name``, made and verified once a process.

    Raises:
        BadRecipe: no analyser has this name, or it is one that drops Hangul.
        Unavailable: its library is missing, or it does not cut its golden sentences as it should.
    """
    check_name(name)
    return ANALYSERS[name]()


def verify(analyser: Analyser, golden: Sequence[Sequence[str]]) -> None:
    """Raises Unavailable unless ``analyser`` cuts every sentence of ``golden`` as written there.

    ``golden`` holds a sentence and then its tokens, separated by blanks.
    """
    for (sentence, expected), found in zip(
        golden, analyser.tokens([sentence for sentence, _ in golden]), strict=True
    ):
        if " ".join(found) != expected:
            raise Unavailable(
                "score.analyser-differs",
                analyser=analyser.id,
                sentence=sentence,
                expected=expected,
                found=" ".join(found),
            )
