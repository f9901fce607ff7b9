"""Limit the length of answers: one limit for all rows, or one by the length of the dialogue.

One limit for all is as long as the longest summary, so it never stops a short dialogue's rambling.
The line by length is what a given share of the training answers stay below at every source length
(quantile regression, Koenker and Bassett 1978), solved as a linear programme.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from yoyak.engine.tokenization.encode import EncodedRow

STEP_TOKENS = 4
"""Row limits are multiples of this, so that rows of similar length share a batch."""

_EPSILON = 1e-6


def default_max_new_tokens(answer_lengths: Iterable[int]) -> int:
    """Return the 99.9th percentile of the training answers' lengths, + 15 % + 8 tokens.

    Lengths are in tokens and include EOS.
    """
    ordered = sorted(answer_lengths)
    index = min(math.ceil(0.999 * len(ordered)), len(ordered)) - 1
    return math.ceil(ordered[index] * 1.15) + 8


class LengthCap(NamedTuple):
    """Answer tokens (EOS included) as a rising line over source tokens."""

    intercept: float
    slope: float

    def tokens(self, row: EncodedRow) -> int:
        """Return the limit of one row, at least ``STEP_TOKENS``."""
        height = self.intercept + self.slope * len(row.source_ids)
        return max(1, math.ceil(height / STEP_TOKENS - _EPSILON)) * STEP_TOKENS


def fit_length_cap(rows: Sequence[EncodedRow], quantile: float) -> LengthCap:
    """Fit the line that ``quantile`` of the rows' answers do not exceed; it never falls.

    Args:
        rows: training rows with their answers, at least one.
        quantile: above 0 and below 1.
    """
    points = Counter((len(row.source_ids), len(row.answer_ids)) for row in rows)
    line = _regression_line(points, quantile)
    return line if line.slope >= 0 else LengthCap(_constant(points, quantile), 0.0)


def _regression_line(points: Counter[tuple[int, int]], quantile: float) -> LengthCap:
    """Solve the dual: two constraints instead of one per point; its shadow prices are the line."""
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


def _constant(points: Counter[tuple[int, int]], quantile: float) -> float:
    ordered = sorted(answer for (_, answer), times in points.items() for _ in range(times))
    return float(ordered[math.ceil(quantile * len(ordered)) - 1])
