"""What an analyser is, and how one is made and held to the sentences that it must cut."""

import re
from collections.abc import Callable, Sequence
from typing import Protocol

from yoyak.errors import Unavailable

_SURROGATE = re.compile("[\ud800-\udfff]")


class MorphemeAnalyser(Protocol):
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


class BatchTokenizer:
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


def verify(analyser: MorphemeAnalyser, golden: Sequence[Sequence[str]]) -> None:
    """Raises Unavailable unless ``analyser`` cuts every sentence of ``golden`` as written there.

    ``golden`` holds a sentence and then its tokens, separated by blanks.
    """
    for (sentence, expected), found in zip(
        golden, analyser.tokens([sentence for sentence, _ in golden]), strict=True
    ):
        if " ".join(found) != expected:
            raise Unavailable(
                "metrics.analyser-differs",
                analyser=analyser.id,
                sentence=sentence,
                expected=expected,
                found=" ".join(found),
            )
