"""What two texts share: n-grams with clipped counts, and the longest common subsequence.

All three are longest common subsequences to rapidfuzz's bit-parallel routine (Hyyrö 2004): that
of two *sorted* sequences is the intersection of the two multisets, which is the clipped n-gram
overlap. Texts come as strings of one code point a token (``yoyak.metrics.token_codes``).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from yoyak.metrics.token_codes import cut

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BITS = 21
"""A code point, or one more, fits."""
_ID = (1 << _BITS) - 1
_PAIR = (1 << 2 * _BITS) - 1
_GOLDEN_RATIO = 0x9E3779B97F4A7C15 - 2**64
"""2^64 / φ as a signed number: Fibonacci hashing (Knuth, TAOCP 6.4)."""


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
    """The three forms of ``codes``, which hold fewer than 1,114,112 tokens together."""
    import numpy as np

    lengths = np.fromiter(map(len, codes), np.int64, len(codes))
    keys = _sorted_keys(_numbers("".join(codes)), lengths)
    pairs = keys & _PAIR
    bigrams = _labels(pairs[pairs & _ID != 0])
    return Forms(
        unigrams=cut(_text(keys >> _BITS & _ID), lengths.tolist()),
        bigrams=cut(_text(bigrams), np.maximum(lengths - 1, 0).tolist()),
        tokens=list(codes),
    )


def _numbers(text: str) -> "NDArray[np.uint32]":
    import numpy as np

    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _text(numbers: "NDArray[np.int64]") -> str:
    import numpy as np

    return numbers.astype(np.uint32).tobytes().decode("utf-32-le", "surrogatepass")


def _sorted_keys(ids: "NDArray[np.uint32]", lengths: "NDArray[np.int64]") -> "NDArray[np.int64]":
    """(row, token, 1 + next token or 0 at the end), packed in 21 bits each and sorted.

    One sort puts both the tokens and the bigrams of every row in order.
    """
    import numpy as np

    following = np.zeros(len(ids), np.int64)
    following[:-1] = ids[1:]
    following += 1
    following[np.cumsum(lengths)[lengths > 0] - 1] = 0
    keys = np.repeat(np.arange(len(lengths), dtype=np.int64) << 2 * _BITS, lengths)
    keys |= ids.astype(np.int64) << _BITS
    keys |= following
    keys.sort(kind="stable")  # timsort: the rows are in order already
    return keys


def _labels(keys: "NDArray[np.int64]") -> "NDArray[np.int64]":
    """For each key the position of one occurrence of it: equal labels mean equal keys.

    A hash table without chains: keys that lost their slot to another go to a next round with
    another hash. A tenth of what ``np.unique`` takes.
    """
    import numpy as np

    # At most 1 MB of slots: a larger table costs more in page faults than it saves in rounds.
    bits = min(17, max(1, len(keys).bit_length()))
    owners = np.empty(1 << bits, np.int64)
    labels = np.empty(len(keys), np.int64)
    places, left, factor = np.arange(len(keys)), keys, _GOLDEN_RATIO
    while len(places):
        slots = ((left * factor).view(np.uint64) >> np.uint64(64 - bits)).view(np.int64)
        owners[slots] = places
        found = owners.take(slots)
        labels[places] = found
        lost = np.flatnonzero(keys.take(found) != left)
        places, left, factor = places[lost], left[lost], factor * 5 % 2**61 | 1
    return labels


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
