"""How long an answer may become, by the length of its dialogue: a quantile line through train.

One cap for all dialogues is as long as the longest summary, so that it never cuts a short
dialogue's rambling. The line is what a given share of training answers stay below at every length
(quantile regression, Koenker and Bassett 1978), solved as the linear programme that it is.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from yoyak.engine.tokenization.encode import EncodedRow

STEP_TOKENS = 4
"""Caps are multiples of this, so that rows of like length stay together in a batch."""

_DUST = 1e-6


class LengthCap(NamedTuple):
    """Answer tokens (with the stop) as a rising line over source tokens."""

    intercept: float
    slope: float

    def tokens(self, row: EncodedRow) -> int:
        """The cap of one row, at least ``STEP_TOKENS``."""
        height = self.intercept + self.slope * len(row.source_ids)
        return max(1, math.ceil(height / STEP_TOKENS - _DUST)) * STEP_TOKENS


def fit(rows: Sequence[EncodedRow], quantile: float) -> LengthCap:
    """The line that ``quantile`` of the rows' answers do not exceed; it never falls.

    Args:
        rows: training rows with their answers, at least one.
        quantile: above 0 and below 1.
    """
    points = Counter((len(row.source_ids), len(row.answer_ids)) for row in rows)
    line = _line(points, quantile)
    return line if line.slope >= 0 else LengthCap(_flat(points, quantile), 0.0)


def _line(points: Counter[tuple[int, int]], quantile: float) -> LengthCap:
    """The dual has two constraints where the primal has one a point; its prices are the line."""
    from scipy.optimize import linprog

    lengths, answers = zip(*points, strict=True)
    solved = linprog(
        [-float(answer) for answer in answers],
        A_eq=[[1.0] * len(points), [float(length) for length in lengths]],
        b_eq=[0.0, 0.0],
        bounds=[(-(1 - quantile) * times, quantile * times) for times in points.values()],
        method="highs",
    )
    intercept, slope = (-float(price) for price in solved.eqlin.marginals)
    return LengthCap(intercept, slope)


def _flat(points: Counter[tuple[int, int]], quantile: float) -> float:
    ordered = sorted(answer for (_, answer), times in points.items() for _ in range(times))
    return float(ordered[math.ceil(quantile * len(ordered)) - 1])


def answer_cap(answer_lengths: Iterable[int]) -> int:
    """The longest answer worth waiting for: the 99.9th percentile of training answers, +15 % + 8.

    Lengths are in tokens and include the stop.
    """
    ordered = sorted(answer_lengths)
    place = min(math.ceil(0.999 * len(ordered)), len(ordered)) - 1
    return math.ceil(ordered[place] * 1.15) + 8
