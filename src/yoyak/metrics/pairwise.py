"""Every candidate of a dialogue scored against every other: the table behind consensus decoding.

The members of a pair are hypothesis (first axis) and reference (second axis).
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from yoyak.errors import BadData
from yoyak.metrics import overlap, rouge_101
from yoyak.metrics.protocol import OFFICIAL, Definition
from yoyak.metrics.token_codes import LIMIT, TokenCodes, encoder
from yoyak.values import Profile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def pairwise(
    candidates: Sequence[Sequence[str]], definition: Definition = OFFICIAL
) -> "list[NDArray[np.float64]]":
    """F1 of all pairs of one item's candidates, an array (n, n, 3) for every item.

    The last axis is ROUGE-1, ROUGE-2, ROUGE-L. The official F1 is the same both ways; that of
    ``rouge101`` need not be.

    Raises:
        BadData: the candidates of an item are longer than ``encode.LIMIT`` together.
        Unavailable: the analyser is not there, or does not cut as it should.
    """
    tables = _encoded(candidates, definition)
    if definition.profile is not Profile.OFFICIAL:
        return [_rouge101_table(codes, vocabulary) for codes, vocabulary in tables]
    return [official_table(codes) for codes, _ in tables]


def _encoded(
    candidates: Sequence[Sequence[str]], definition: Definition
) -> Iterator[tuple[list[str], TokenCodes]]:
    encode = encoder(definition).encode
    for row, texts in enumerate(candidates):
        length = sum(map(len, texts))
        if length > LIMIT:
            raise BadData("metrics.too-long", row=row, characters=length, limit=LIMIT)
        yield encode(texts)


def official_table(codes: Sequence[str]) -> "NDArray[np.float64]":
    """The official F1 of all pairs of ``codes``, shape (n, n, 3)."""
    import numpy as np

    place = {code: index for index, code in enumerate(dict.fromkeys(codes))}
    # Numbered anew: one item has few distinct tokens, and below 256 rapidfuzz needs no hashing.
    distinct = TokenCodes().encode(list(place))
    found = np.stack([_all_common(form) for form in overlap.forms(distinct)], axis=-1)
    tokens = np.fromiter(map(len, distinct), np.int64, len(distinct))
    totals = np.stack((tokens, np.maximum(tokens - 1, 0), tokens), axis=1)
    table = overlap.fractions(found, totals[:, None], totals[None, :])[..., 2]
    where = np.array([place[code] for code in codes], np.int64)
    full: NDArray[np.float64] = table[where[:, None], where[None, :]]
    return full


def _all_common(texts: Sequence[str]) -> "NDArray[np.int32]":
    import numpy as np
    from rapidfuzz.distance import LCSseq
    from rapidfuzz.process import cdist

    # One and the same list on both sides: rapidfuzz then computes half of the table.
    found: Any = cdist(texts, texts, scorer=LCSseq.similarity, dtype=np.int32)
    return found  # type: ignore[no-any-return]


def _rouge101_table(codes: Sequence[str], vocabulary: TokenCodes) -> "NDArray[np.float64]":
    import numpy as np

    texts = [rouge_101.prepare(" ".join(tokens)) for tokens in vocabulary.decode(codes)]
    scores = [[rouge_101.score(ours, theirs) for theirs in texts] for ours in texts]
    return np.array(scores).reshape(len(texts), len(texts), 3, 3)[..., 2]
