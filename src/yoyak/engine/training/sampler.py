"""Sample the rows of each step: shuffled by epoch, grouped by length.

The order is a pure function of (seed, epoch, row): there is no generator state to save, and a
resumed run skips nothing. Rows of similar length share a step, within pools that are shuffled
first; every row comes once an epoch.
"""

import hashlib
from collections.abc import Sequence

from yoyak.engine.models.collate import RowShape

POOL_STEPS = 50
"""Steps whose rows are sorted together, at most; at least four pools make an epoch."""


def epoch_steps(
    shapes: Sequence[RowShape], batch_size: int, *, seed: int, epoch: int
) -> list[list[int]]:
    """Return the rows of each step of an epoch, as indices; the last step may be short."""
    rows = epoch_order(len(shapes), seed, epoch)
    count = -(-len(rows) // batch_size)
    pool = batch_size * max(1, min(POOL_STEPS, count // 4))
    steps = []
    for start in range(0, len(rows), pool):
        alike = sorted(rows[start : start + pool], key=lambda row: -sum(shapes[row]))
        steps += [alike[cut : cut + batch_size] for cut in range(0, len(alike), batch_size)]
    order = sorted(range(len(steps)), key=lambda step: _rank(seed, epoch, "step", step))
    return [steps[step] for step in order]


def epoch_order(rows: int, seed: int, epoch: int) -> list[int]:
    """Return the row indices of an epoch, shuffled."""
    return sorted(range(rows), key=lambda row: _rank(seed, epoch, "row", row))


def _rank(seed: int, epoch: int, what: str, number: int) -> bytes:
    return hashlib.sha256(f"{seed}/{epoch}/{what}/{number}".encode()).digest()
