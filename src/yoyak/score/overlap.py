"""What two texts share: n-grams with clipped counts, and the longest common subsequence.

All three are longest common subsequences to rapidfuzz's bit-parallel routine (Hyyrö 2004): that
of two *sorted* sequences is the intersection of the two multisets, which is the clipped n-gram
overlap. Texts come as strings of one code point a token (``yoyak.score.encode``).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from yoyak.score.encode import cut

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Forms(NamedTuple):
    """The texts of one batch in the three forms that are compared.

    A bigram's code point has its meaning within the batch only.
    """

    unigrams: list[str]
    """Sorted."""
    bigrams: list[str]
    """Sorted, one code point a bigram."""
    tokens: list[str]
    """In the order of the text."""


def forms(codes: Sequence[str]) -> Forms:
    """The three forms of ``codes``: fewer than 65,536 texts with fewer than 1,114,112 tokens."""
    import numpy as np

    ids = _numbers("".join(codes))
    lengths = np.fromiter(map(len, codes), np.int64, len(codes))
    rows = np.repeat(np.arange(len(codes), dtype=np.uint16), lengths)
    inside = rows[1:] == rows[:-1]
    bigram_rows, bigrams = _ranked(rows[1:][inside], ids[:-1][inside], ids[1:][inside])
    return Forms(
        unigrams=cut(_text(_sorted_rows(rows, ids)), lengths.tolist()),
        bigrams=cut(_text(_sorted_rows(bigram_rows, bigrams)), np.maximum(lengths - 1, 0).tolist()),
        tokens=list(codes),
    )


def _numbers(text: str) -> "NDArray[np.uint32]":
    import numpy as np

    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _text(numbers: "NDArray[np.uint32]") -> str:
    return numbers.tobytes().decode("utf-32-le", "surrogatepass")


def _order(numbers: "NDArray[np.uint32]") -> "NDArray[np.int64]":
    """The stable sorting order of ``numbers``, 16 bits at a time: numpy's radix sort is linear."""
    import numpy as np

    order: NDArray[np.int64] = np.argsort(numbers.astype(np.uint16), kind="stable")
    if len(numbers) and int(numbers.max()) > np.iinfo(np.uint16).max:
        high = (numbers >> 16).astype(np.uint16)
        order = order[np.argsort(high[order], kind="stable")]
    return order


def _sorted_rows(rows: "NDArray[np.uint16]", numbers: "NDArray[np.uint32]") -> "NDArray[np.uint32]":
    """``numbers`` sorted within every row, rows in order."""
    import numpy as np

    order = _order(numbers)
    sorted_numbers: NDArray[np.uint32] = numbers[order[np.argsort(rows[order], kind="stable")]]
    return sorted_numbers


def _ranked(
    rows: "NDArray[np.uint16]", left: "NDArray[np.uint32]", right: "NDArray[np.uint32]"
) -> tuple["NDArray[np.uint16]", "NDArray[np.uint32]"]:
    """Every pair (left, right) as its rank among the distinct pairs, and the row it came from."""
    import numpy as np

    order = _order(right)
    order = order[_order(left[order])]
    left, right = left[order], right[order]
    rank = np.zeros(len(order), np.uint32)
    new = (left[1:] != left[:-1]) | (right[1:] != right[:-1])
    np.cumsum(new, out=rank[1:])
    return rows[order], rank


def common(queries: Sequence[str], choices: Sequence[str]) -> "NDArray[np.int32]":
    """The length of the longest common subsequence of every query with the choice beside it."""
    import numpy as np
    from rapidfuzz.distance import LCSseq
    from rapidfuzz.process import cpdist

    found: Any = cpdist(queries, choices, scorer=LCSseq.similarity, dtype=np.int32)
    return found  # type: ignore[no-any-return]


def fractions(
    overlap: "NDArray[np.int32]", ours: "NDArray[np.int64]", theirs: "NDArray[np.int64]"
) -> "NDArray[np.float64]":
    """Precision, recall and F1 on a new last axis; 0 where a side is empty.

    The order of operations is that of rouge-score, to the last bit: 2PR / (P + R).
    """
    import numpy as np

    precision = overlap / np.maximum(ours, 1)
    recall = overlap / np.maximum(theirs, 1)
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    return np.stack((precision, recall, f1), axis=-1)
