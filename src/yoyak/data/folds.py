"""Cut train into folds such that near-duplicate dialogues are in the same one.

A twin of a held-out dialogue in training would be recited, and the fold's score would flatter.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

from yoyak.data.near_duplicates import find_near_duplicates
from yoyak.errors import BadData
from yoyak.values import Dialogue


@lru_cache(maxsize=2)  # every fold and seed of a recipe asks for the groups of the same rows
def duplicate_groups(dialogues: tuple[Dialogue, ...]) -> list[list[int]]:
    """Return the indices of dialogues that near-duplicates connect, directly or over others."""
    parent = list(range(len(dialogues)))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    for pair in find_near_duplicates([each.text for each in dialogues]):
        parent[root(pair.second)] = root(pair.first)
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for at in range(len(dialogues)):
        groups[root(at)].append(at)
    return list(groups.values())


def assign_folds(dialogues: Sequence[Dialogue], folds: int, seed: int) -> list[int]:
    """Return the fold of each dialogue, from 1: a function of ids, texts and seed, not of order.

    Groups go to the smallest fold, the largest group first, in an order drawn from the seed.

    Raises:
        BadData: there are fewer groups than folds.
    """
    groups = duplicate_groups(tuple(dialogues))
    if len(groups) < folds:
        raise BadData("data.few-groups", folds=folds, groups=len(groups), rows=len(dialogues))

    def drawn(group: Sequence[int]) -> tuple[int, bytes]:
        first = min(dialogues[at].id for at in group)
        return -len(group), hashlib.sha256(f"{seed}/fold/{first}".encode()).digest()

    found = [0] * len(dialogues)
    sizes = [0] * folds
    for group in sorted(groups, key=drawn):
        smallest = sizes.index(min(sizes))
        sizes[smallest] += len(group)
        for at in group:
            found[at] = smallest + 1
    return found
