"""Encode texts as strings of one code point a token, for string algorithms.

A text is tokenized once: codes are cached, so that references scored against repeatedly cost
nothing.
"""

import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import accumulate, chain, count, pairwise

from yoyak.metrics import speaker_tags, tokenizers
from yoyak.metrics.protocol import Definition
from yoyak.metrics.tokenizers import MorphemeAnalyser
from yoyak.values import TagMode

CODE_POINTS = 0x110000
LIMIT = 500_000
"""Characters (or tokens) that the texts of one row may hold together."""
_CACHED_CHARACTERS = 8_000_000
_TOKENS_PER_CHARACTER = 2
"""At most: Kiwi reads some syllables as two morphemes."""


class TokenCodes(defaultdict[str, str]):
    """Token to code point, numbered in order of appearance."""

    def __init__(self) -> None:
        super().__init__(map(chr, count()).__next__)

    def encode(self, token_lists: Sequence[Sequence[str]]) -> list[str]:
        """Encode every list of tokens as a string of one code point a token."""
        codes = "".join(map(self.__getitem__, chain.from_iterable(token_lists)))
        return cut(codes, map(len, token_lists))

    def decode(self, codes: Sequence[str]) -> list[list[str]]:
        """Return the tokens that ``codes`` stand for."""
        tokens = list(self)
        return [[tokens[ord(code)] for code in text] for text in codes]


def cut(text: str, lengths: Iterable[int]) -> list[str]:
    """Split ``text`` into consecutive parts of the given lengths."""
    return [text[start:end] for start, end in pairwise(accumulate(lengths, initial=0))]


class Encoder:
    """An analyser and a tag mode, with a cache of encoded texts."""

    def __init__(self, analyser: MorphemeAnalyser, tag_mode: TagMode) -> None:
        self._analyser = analyser
        self._tags = tag_mode
        self._lock = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self._vocabulary = TokenCodes()
        self._codes: dict[str, str] = {}
        self._characters = 0

    def encode(self, texts: Sequence[str]) -> tuple[list[str], TokenCodes]:
        """Return the codes of ``texts`` and the vocabulary they are written in."""
        with self._lock:
            self._evict(sum(map(len, texts)))
            new = [text for text in dict.fromkeys(texts) if text not in self._codes]
            self._codes.update(zip(new, self._vocabulary.encode(self.tokens(new)), strict=True))
            self._characters += sum(map(len, new))
            return [self._codes[text] for text in texts], self._vocabulary

    def _evict(self, characters: int) -> None:
        tokens = len(self._vocabulary) + _TOKENS_PER_CHARACTER * characters
        if tokens > CODE_POINTS or self._characters + characters > _CACHED_CHARACTERS:
            self._clear()

    def tokens(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the tokens of ``texts``, tags treated by this encoder's tag mode."""
        if self._tags is TagMode.STRIP:
            return self._analyser.tokens([speaker_tags.strip(text) for text in texts])
        if self._tags is TagMode.SPACED:
            return self._analyser.tokens([speaker_tags.spaced(text) for text in texts])
        if self._tags is TagMode.ATOMIC:
            return self._atomic(texts)
        return self._analyser.tokens(texts)

    def _atomic(self, texts: Sequence[str]) -> list[list[str]]:
        pieces = [speaker_tags.pieces(text) for text in texts]
        plain = [piece.text for text in pieces for piece in text if not piece.is_tag]
        tokens = iter(self._analyser.tokens(plain))
        return [
            [token for piece in text for token in ([piece.text] if piece.is_tag else next(tokens))]
            for text in pieces
        ]


@cache
def _encoder(analyser: str, tag_mode: TagMode) -> Encoder:
    return Encoder(tokenizers.load(analyser), tag_mode)


def encoder(definition: Definition) -> Encoder:
    """Return the encoder of ``definition``; one a process for every analyser and tag mode."""
    return _encoder(definition.analyser, definition.tags)
