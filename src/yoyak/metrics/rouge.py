"""ROUGE-1, ROUGE-2 and ROUGE-L of summaries under a named definition (``docs/metrics.md``)."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from yoyak.errors import BadData
from yoyak.metrics import overlap, rouge_101
from yoyak.metrics.protocol import OFFICIAL, Definition
from yoyak.metrics.token_codes import CODE_POINTS, LIMIT, TokenCodes, encoder
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
    """Scores of every row: shape (rows, 3, 3).

    The second axis is ROUGE-1, ROUGE-2, ROUGE-L; the third precision, recall, F1, each 0 to 1.
    Rows are worked off in batches, so that memory does not grow with their number.

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
    """``score_rows`` for texts that are cut already; the definition's analyser is not used."""
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
    """The mean over rows, shape (3, 3).

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
    """Shape (pairs, 3, 3), a pair for every reference; ``owner`` is its row."""
    import numpy as np

    owners = owner.tolist()
    found = [
        overlap.common([form[row] for row in owners], form[len(ours) :])
        for form in overlap.forms([*ours, *theirs])
    ]
    return overlap.fractions(np.stack(found, axis=1), _totals(ours)[owner], _totals(theirs))


def _totals(codes: list[str]) -> "NDArray[np.int64]":
    """How many unigrams, bigrams and tokens each text holds."""
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
    """One row out of its pairs: the mean, or for each metric the pair with the highest F1."""
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
    # Added one reference after another, as anybody else would: the same to the last bit.
    total = pairs[starts]
    for reference in range(1, int(number.max())):
        rows = number > reference
        total[rows] += pairs[starts[rows] + reference]
    return total / number[:, None, None]
