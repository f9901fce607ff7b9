"""Compute the ROUGE of the pip package ``rouge`` 1.0.1, bit for bit, without its crashes.

Sets of n-grams instead of counts; sentences end at every ``.``; ROUGE-L counts the set of words
in the union of the longest common subsequences of all pairs of sentences, whatever their order.
Where the package raises (an empty side, or ``.`` alone) the score is 0; where its recursion ends
(about 1,000 words) the score is what it would have been.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

_EPSILON = 1e-8
_BLOCK_ROWS = 256

Fractions = tuple[float, float, float]


class Text(NamedTuple):
    """A text as ``rouge`` 1.0.1 sees it; no sentences means that the package would raise."""

    sentences: list[list[str]]
    words: frozenset[str]
    bigrams: frozenset[tuple[str, str]]


def prepare(text: str) -> Text:
    """Cut ``text``, its tokens separated by blanks, at every full stop.

    Blanks after the last full stop make a sentence of one empty word, as they do there.
    """
    sentences = [" ".join(part.split()).split(" ") for part in text.split(".") if part]
    words = [word for sentence in sentences for word in sentence]
    return Text(sentences, frozenset(words), frozenset(pairwise(words)))


def score(ours: Text, theirs: Text) -> tuple[Fractions, Fractions, Fractions]:
    """Return ROUGE-1, ROUGE-2 and ROUGE-L, each as precision, recall and F1."""
    if not ours.sentences or not theirs.sentences:
        return (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
    union: set[str] = set()
    for reference in theirs.sentences:
        for sentence in ours.sentences:
            union.update(_common_words(reference, sentence))
    return (
        _fractions(len(ours.words & theirs.words), len(ours.words), len(theirs.words)),
        _fractions(len(ours.bigrams & theirs.bigrams), len(ours.bigrams), len(theirs.bigrams)),
        _fractions(len(union), len(ours.words), len(theirs.words)),
    )


def _fractions(overlap: int, ours: int, theirs: int) -> Fractions:
    precision = overlap / ours if ours else 0.0
    recall = overlap / theirs if theirs else 0.0
    f1 = 2.0 * ((precision * recall) / (precision + recall + _EPSILON))
    return precision, recall, f1


def _common_words(rows: Sequence[str], columns: Sequence[str]) -> Iterator[str]:
    """Yield the words of the longest common subsequence that the package's traceback finds.

    Bit ``j`` of a row's integer is 0 where the table of lengths steps up at column ``j``
    (Hyyrö 2004). With ``_lcs[i][j]`` known to be the larger of its two neighbours, the step
    decides the package's question ``_lcs[i-1][j] > _lcs[i][j-1]``.
    """
    row, column = len(rows), len(columns)
    starts = _block_starts(rows, columns)
    while row and column:
        block = (row - 1) // _BLOCK_ROWS
        table = list(_steps(rows[block * _BLOCK_ROWS : row], columns, starts[block]))
        while row > block * _BLOCK_ROWS and column:
            if rows[row - 1] == columns[column - 1]:
                row, column = row - 1, column - 1
                yield rows[row]
            elif table[row - 1 - block * _BLOCK_ROWS] >> (column - 1) & 1:
                column -= 1
            else:
                row -= 1


def _block_starts(rows: Sequence[str], columns: Sequence[str]) -> list[int]:
    """Return the integers before every block of rows: keeping all would take n² bits."""
    starts = [(1 << len(columns)) - 1]
    if len(rows) > _BLOCK_ROWS:
        steps = enumerate(_steps(rows, columns, starts[0]), start=1)
        starts += [bits for row, bits in steps if row % _BLOCK_ROWS == 0]
    return starts


def _steps(rows: Sequence[str], columns: Sequence[str], start: int) -> Iterator[int]:
    positions: dict[str, int] = {}
    for position, word in enumerate(columns):
        positions[word] = positions.get(word, 0) | 1 << position
    full = (1 << len(columns)) - 1
    bits = start
    for word in rows:
        matched = bits & positions.get(word, 0)
        bits = ((bits + matched) | (bits - matched)) & full
        yield bits
