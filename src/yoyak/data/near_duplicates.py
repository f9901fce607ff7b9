"""Find near-duplicate texts without comparing every text with every other.

Texts are compared by their letters: tags, blanks and punctuation are left out, so that a copy
with swapped speakers counts as a copy. Equal letters are found by a dictionary. For the rest each
text keeps the smallest hashes of its character n-grams (bottom-k sketch, Broder 1997); two texts
become candidates when they share some, and only candidates are compared letter by letter.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from yoyak.data.clean import TAG

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

NGRAM = 6
"""Characters of one n-gram: one or two Korean words."""

SKETCH = 32
"""Hashes that a text keeps."""

MIN_SHARED = 2
"""Hashes that two texts must share to be compared."""

MAX_HOLDERS = 60
"""A hash that more texts than this share is a stock phrase and makes no candidates."""


THRESHOLD = 0.8
"""Similarity of letters from which on two texts are near-duplicates."""


class NearDuplicate(NamedTuple):
    """Indices of two texts, the earlier first, and how alike their letters are (0 to 1)."""

    first: int
    second: int
    similarity: float


def find_near_duplicates(
    texts: Sequence[str], *, threshold: float = THRESHOLD
) -> tuple[NearDuplicate, ...]:
    """Return all equal texts and, with high probability, all at least ``threshold`` alike.

    Similarity is the normalised indel similarity (twice the longest common subsequence by both
    lengths). Of several equal texts each is paired with the first one only.
    """
    letters = [letters_of(text) for text in texts]
    first: dict[str, int] = {}
    equal = [
        NearDuplicate(earlier, position, 1.0)
        for position, text in enumerate(letters)
        if (earlier := first.setdefault(text, position)) != position
    ]
    candidates = _candidates({position: text for text, position in first.items()})
    alike = _compared(letters, candidates, threshold)
    return tuple(sorted((*equal, *alike)))


def resembles_any(letters: str, others: Iterable[str]) -> bool:
    """Return whether a text's letters are at least ``THRESHOLD`` alike to some of ``others``."""
    from rapidfuzz.distance.Indel import normalized_similarity

    return any(normalized_similarity(letters, other, score_cutoff=THRESHOLD) for other in others)


def letters_of(text: str) -> str:
    """Return what two texts are compared by: letters and digits outside tags."""
    return re.sub(r"[\W_]+", "", re.sub(TAG, " ", text))


def _compared(
    letters: list[str], candidates: Iterable[tuple[int, int]], threshold: float
) -> Iterator[NearDuplicate]:
    from rapidfuzz.distance.Indel import normalized_similarity

    for one, other in candidates:
        alike = normalized_similarity(letters[one], letters[other], score_cutoff=threshold)
        if alike:
            yield NearDuplicate(one, other, alike)


def _candidates(texts: dict[int, str]) -> list[tuple[int, int]]:
    """Return pairs that share enough hashes; bounded, because very common hashes make none."""
    holders: defaultdict[int, list[int]] = defaultdict(list)
    for position, text in texts.items():
        for value in _sketch(text):
            holders[value].append(position)
    shared = Counter(
        pair
        for positions in holders.values()
        if len(positions) <= MAX_HOLDERS
        for pair in combinations(positions, 2)
    )
    return [pair for pair, count in shared.items() if count >= MIN_SHARED]


def _sketch(text: str) -> list[int]:
    """Return the smallest hashes of the text's n-grams; none for a text shorter than one."""
    import numpy as np

    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    if len(points) < NGRAM:
        return []
    hashes = np.unique(_mixed(points.astype(np.uint64), len(points) - NGRAM + 1))
    return [int(value) for value in hashes[:SKETCH]]


def _mixed(points: "npt.NDArray[np.uint64]", count: int) -> "npt.NDArray[np.uint64]":
    """Return a 64-bit hash of each n-gram: a polynomial, then the finaliser of SplitMix64."""
    import numpy as np

    hashes = np.zeros(count, dtype=np.uint64)
    for offset in range(NGRAM):
        hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + points[offset : offset + count]
    hashes ^= hashes >> np.uint64(30)
    hashes *= np.uint64(0xBF58476D1CE4E5B9)
    hashes ^= hashes >> np.uint64(27)
    hashes *= np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))
