"""Compute ROUGE-1, ROUGE-2 and ROUGE-L of summaries under a named definition (``docs/metrics.md``).

All three overlaps are longest common subsequences to rapidfuzz's bit-parallel routine (Hyyrö 2004):
that of two *sorted* sequences is the intersection of the two multisets, which is the clipped n-gram
overlap. Texts come as strings of one code point a token (``yoyak.metrics.token_codes``).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from yoyak.errors import BadData
from yoyak.metrics import rouge_101
from yoyak.metrics.protocol import OFFICIAL, Definition
from yoyak.metrics.token_codes import CODE_POINTS, LIMIT, TokenCodes, cut, encoder
from yoyak.values import Profile, ReferenceMode

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BATCH = 30_000
"""Small enough that the arrays of one batch stay in the cache and in memory already mapped."""
_PER_TEXT = 8
"""Counted on top of a text's length, so that a batch of empty texts is bounded too."""

Encode = Callable[[Sequence[Any]], tuple[list[str], TokenCodes]]


def score_rows(
    hypotheses: Sequence[str],
    references: Sequence[tuple[str, ...]],
    definition: Definition = OFFICIAL,
) -> "NDArray[np.float64]":
    """Score every row: shape (rows, 3, 3).

    The second axis is ROUGE-1, ROUGE-2, ROUGE-L; the third precision, recall, F1, each 0 to 1.
    Rows are scored in batches, so that memory does not grow with their number.

    Raises:
        BadData: unlike lengths, a row without references, or a row beyond ``LIMIT``.
        Unavailable: the analyser is not there, or does not cut as it should.
    """
    return _score(hypotheses, references, definition, encoder(definition).encode)


def score_tokens(
    hypotheses: Sequence[Sequence[str]],
    references: Sequence[Sequence[Sequence[str]]],
    definition: Definition = OFFICIAL,
) -> "NDArray[np.float64]":
    """Score rows whose texts are tokenized already; the definition's analyser is not used."""
    vocabulary = TokenCodes()

    def encode(texts: Sequence[Sequence[str]]) -> tuple[list[str], TokenCodes]:
        nonlocal vocabulary
        if len(vocabulary) + LIMIT > CODE_POINTS:
            vocabulary = TokenCodes()
        return vocabulary.encode(texts), vocabulary

    return _score(hypotheses, references, definition, encode)


def corpus_mean(
    rows: "NDArray[np.float64]", definition: Definition = OFFICIAL
) -> "NDArray[np.float64]":
    """Return the mean over rows, shape (3, 3).

    The official sum is exact, so the order of the rows cannot matter; the other profiles add row
    by row, as ``rouge`` 1.0.1 does.

    Raises:
        BadData: there are no rows.
    """
    import math

    import numpy as np

    if not len(rows):
        raise BadData("metrics.no-rows")
    if definition.profile is not Profile.OFFICIAL:
        total: NDArray[np.float64] = np.add.accumulate(rows, axis=0)[-1]
        return total / len(rows)
    columns = rows.reshape(len(rows), 9).T
    sums = np.array([math.fsum(column) for column in columns])
    return sums.reshape(3, 3) / len(rows)


def _score(
    hypotheses: Sequence[Sequence[str]],
    references: Sequence[Sequence[Sequence[str]]],
    definition: Definition,
    encode: Encode,
) -> "NDArray[np.float64]":
    import numpy as np

    if len(hypotheses) != len(references):
        raise BadData(
            "metrics.unlike-lengths", hypotheses=len(hypotheses), references=len(references)
        )
    rows = np.empty((len(hypotheses), 3, 3))
    pairs = _official_pairs if definition.profile is Profile.OFFICIAL else _rouge101_pairs
    for batch in _batches(hypotheses, references):
        counts = [len(texts) for texts in references[batch]]
        ours = hypotheses[batch]
        theirs = [text for texts in references[batch] for text in texts]
        codes, vocabulary = encode([*ours, *theirs])
        owner = np.repeat(np.arange(len(ours)), counts)
        scores = pairs(codes[: len(ours)], codes[len(ours) :], owner, vocabulary)
        rows[batch] = _over_references(scores, owner, counts, definition.references)
    return rows


def _batches(
    hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> Iterator[slice]:
    start = size = 0
    for row, (ours, theirs) in enumerate(zip(hypotheses, references, strict=True)):
        if not theirs:
            raise BadData("metrics.no-reference", row=row)
        length = len(ours) + sum(map(len, theirs)) + _PER_TEXT * (1 + len(theirs))
        if length > LIMIT:
            raise BadData("metrics.too-long", row=row, characters=length, limit=LIMIT)
        if size and size + length > _BATCH:
            yield slice(start, row)
            start, size = row, 0
        size += length
    if size:
        yield slice(start, len(hypotheses))


def _official_pairs(
    ours: list[str], theirs: list[str], owner: "NDArray[np.int64]", _: TokenCodes
) -> "NDArray[np.float64]":
    """Score one pair for every reference, shape (pairs, 3, 3); ``owner`` is its row."""
    import numpy as np

    owners = owner.tolist()
    found = [
        common([form[row] for row in owners], form[len(ours) :]) for form in forms([*ours, *theirs])
    ]
    return fractions(np.stack(found, axis=1), _totals(ours)[owner], _totals(theirs))


def _totals(codes: list[str]) -> "NDArray[np.int64]":
    """Count the unigrams, bigrams and tokens of each text."""
    import numpy as np

    tokens = np.fromiter(map(len, codes), np.int64, len(codes))
    return np.stack((tokens, np.maximum(tokens - 1, 0), tokens), axis=1)


def _rouge101_pairs(
    ours: list[str], theirs: list[str], owner: "NDArray[np.int64]", vocabulary: TokenCodes
) -> "NDArray[np.float64]":
    import numpy as np

    sides = [
        [rouge_101.prepare(" ".join(tokens)) for tokens in vocabulary.decode(codes)]
        for codes in (ours, theirs)
    ]
    pairs = zip(owner.tolist(), sides[1], strict=True)
    return np.array([rouge_101.score(sides[0][row], text) for row, text in pairs])


def _over_references(
    pairs: "NDArray[np.float64]",
    owner: "NDArray[np.int64]",
    counts: Sequence[int],
    mode: ReferenceMode,
) -> "NDArray[np.float64]":
    """Reduce pairs to rows: the mean, or for each metric the pair with the highest F1."""
    import numpy as np

    if len(pairs) == len(counts):
        return pairs
    number = np.array(counts, np.int64)
    starts = np.cumsum(number) - number
    if mode is ReferenceMode.MEAN:
        return _mean_over_references(pairs, starts, number)
    earlier_first = -np.arange(len(pairs))
    best = [
        np.lexsort((earlier_first, pairs[:, metric, 2], owner))[starts + number - 1]
        for metric in range(3)
    ]
    return np.stack([pairs[best[metric], metric] for metric in range(3)], axis=1)


def _mean_over_references(
    pairs: "NDArray[np.float64]", starts: "NDArray[np.int64]", number: "NDArray[np.int64]"
) -> "NDArray[np.float64]":
    # Added one reference after another: bit-identical to other implementations.
    total = pairs[starts]
    for reference in range(1, int(number.max())):
        rows = number > reference
        total[rows] += pairs[starts[rows] + reference]
    return total / number[:, None, None]


# --- all pairs of candidates ---


def pairwise(
    candidates: Sequence[Sequence[str]], definition: Definition = OFFICIAL
) -> "list[NDArray[np.float64]]":
    """Score all pairs of each item's candidates: F1, an array (n, n, 3) for every item.

    The last axis is ROUGE-1, ROUGE-2, ROUGE-L. The official F1 is the same both ways; that of
    ``rouge101`` need not be.

    Raises:
        BadData: the candidates of an item are longer than ``LIMIT`` together.
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
    """Return the official F1 of all pairs of ``codes``, shape (n, n, 3)."""
    import numpy as np

    position = {code: index for index, code in enumerate(dict.fromkeys(codes))}
    # Numbered anew: one item has few distinct tokens, and below 256 rapidfuzz needs no hashing.
    distinct = TokenCodes().encode(list(position))
    found = np.stack([_all_common(form) for form in forms(distinct)], axis=-1)
    tokens = np.fromiter(map(len, distinct), np.int64, len(distinct))
    totals = np.stack((tokens, np.maximum(tokens - 1, 0), tokens), axis=1)
    table = fractions(found, totals[:, None], totals[None, :])[..., 2]
    where = np.array([position[code] for code in codes], np.int64)
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


# --- overlaps ---

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
    """Return the three forms of ``codes``, which hold fewer than 1,114,112 tokens together."""
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
    """Return sorted (row, token, 1 + next token or 0 at the end), packed in 21 bits each.

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
    """Return for each key the position of one occurrence: equal labels mean equal keys.

    A hash table without chains: keys that lost their slot to another go to a next round with
    another hash. A tenth of what ``np.unique`` takes.
    """
    import numpy as np

    # At most 1 MB of slots: a larger table costs more in page faults than it saves in rounds.
    bits = min(17, max(1, len(keys).bit_length()))
    owners = np.empty(1 << bits, np.int64)
    labels = np.empty(len(keys), np.int64)
    positions, left, factor = np.arange(len(keys)), keys, _GOLDEN_RATIO
    while len(positions):
        slots = ((left * factor).view(np.uint64) >> np.uint64(64 - bits)).view(np.int64)
        owners[slots] = positions
        found = owners.take(slots)
        labels[positions] = found
        lost = np.flatnonzero(keys.take(found) != left)
        positions, left, factor = positions[lost], left[lost], factor * 5 % 2**61 | 1
    return labels


def common(queries: Sequence[str], choices: Sequence[str]) -> "NDArray[np.int32]":
    """Return the longest common subsequence's length of every query with its choice."""
    import numpy as np
    from rapidfuzz.distance import LCSseq
    from rapidfuzz.process import cpdist

    found: Any = cpdist(queries, choices, scorer=LCSseq.similarity, dtype=np.int32)
    return found  # type: ignore[no-any-return]


def fractions(
    overlap: "NDArray[np.int32]", ours: "NDArray[np.int64]", theirs: "NDArray[np.int64]"
) -> "NDArray[np.float64]":
    """Return precision, recall and F1 on a new last axis; 0 where a side is empty.

    The order of operations is that of rouge-score, to the last bit: 2PR / (P + R).
    """
    import numpy as np

    precision = overlap / np.maximum(ours, 1)
    recall = overlap / np.maximum(theirs, 1)
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    return np.stack((precision, recall, f1), axis=-1)
