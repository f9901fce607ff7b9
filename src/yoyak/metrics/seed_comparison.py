"""Compare two settings that were each trained with several seeds, on the same rows.

Trained again with another seed, the same settings score differently. A test over rows alone asks
whether these two models differ; whether the settings do is a question about further seeds as well.
So the standard error here has both parts, rows and seeds, each as if the other were not there
(which counts the noise of single answers twice, on the safe side), and the interval is Student's
with the degrees of freedom of Welch (1947) and Satterthwaite (1946).
"""

import math
from typing import TYPE_CHECKING

from yoyak.values import Interval, Value

if TYPE_CHECKING:
    from yoyak.metrics.bootstrap import Floats

ALPHA = 0.05
POWER = 0.8


class SeedComparison(Value, frozen=True, kw_only=True):
    """One setting against another: means, difference and interval are fractions 0 to 1."""

    rows: int
    seeds: int
    """Of each setting; the smaller number where they differ."""
    mean: float
    baseline_mean: float
    difference: float
    interval: Interval | None
    """Of the difference; ``None`` where a single seed leaves the noise of seeds unknown."""
    seed_deviation: float | None
    """Standard deviation of the mean over seeds, both settings pooled."""
    detectable: float | None
    """The true difference that so many rows and seeds would prove with 80 % power."""

    @property
    def proven(self) -> bool:
        """Whether the interval lies above zero."""
        return self.interval is not None and self.interval.low > 0


def compare_seeds(scores: "Floats", baseline: "Floats", *, alpha: float = ALPHA) -> SeedComparison:
    """Compare the settings behind ``scores`` with those behind ``baseline``.

    Args:
        scores: (rows, seeds) score of each row under each seed.
        baseline: the same of the other setting, on the same rows in the same order; its number of
            seeds may differ.
        alpha: of the two-sided interval.
    """
    import numpy as np

    if scores.shape[0] != baseline.shape[0] or not scores.size or not baseline.size:
        raise ValueError(f"rows differ: {scores.shape} and {baseline.shape}")
    difference = float(scores.mean() - baseline.mean())
    interval = deviation = detectable = None
    counts = (scores.shape[1], baseline.shape[1])
    if min(counts) > 1 and len(scores) > 1:
        by_row = scores.mean(axis=1) - baseline.mean(axis=1)
        variances = [arm.mean(axis=0).var(ddof=1) for arm in (scores, baseline)]
        parts = np.array(
            [by_row.var(ddof=1) / len(by_row), *np.divide(variances, counts)], dtype=np.float64
        )
        freedom = np.array([len(by_row) - 1, counts[0] - 1, counts[1] - 1])
        deviation = math.sqrt(np.average(variances, weights=freedom[1:]))
        interval, detectable = _student(difference, parts, freedom, alpha)
    return SeedComparison(
        rows=len(scores),
        seeds=min(counts),
        mean=float(scores.mean()),
        baseline_mean=float(baseline.mean()),
        difference=difference,
        interval=interval,
        seed_deviation=deviation,
        detectable=detectable,
    )


def _student(
    difference: float, parts: "Floats", freedom: "Floats", alpha: float
) -> tuple[Interval, float]:
    """Return the interval of the difference, and what would be detected with ``POWER``."""
    from scipy.special import stdtrit

    total = float(parts.sum())
    if total == 0.0:
        return Interval(low=difference, high=difference, level=1 - alpha), 0.0
    degrees = total**2 / float((parts**2 / freedom).sum())
    error = math.sqrt(total)
    half = float(stdtrit(degrees, 1 - alpha / 2)) * error
    interval = Interval(low=difference - half, high=difference + half, level=1 - alpha)
    return interval, half + float(stdtrit(degrees, POWER)) * error


MOST_SEEDS = 100


def seeds_needed(
    scores: "Floats", baseline: "Floats", *, alpha: float = ALPHA, most: int = MOST_SEEDS
) -> int | None:
    """Return how many seeds of each setting would prove a difference as large as the one found.

    With 80 % power on these rows, by the variance over rows and between seeds that was observed.
    ``None``: not with ``most`` seeds (the rows are too few or the difference too small), or the
    variance between seeds is not known from a single one.

    Args:
        scores: as ``compare_seeds``, like ``baseline``.
        baseline: as above.
        alpha: of the two-sided interval.
        most: largest number tried.
    """
    import numpy as np

    rows = len(scores)
    counts = (scores.shape[1], baseline.shape[1])
    if min(counts) < 2 or rows < 2:
        return None
    by_row = scores.mean(axis=1) - baseline.mean(axis=1)
    variances = [float(arm.mean(axis=0).var(ddof=1)) for arm in (scores, baseline)]
    wanted = abs(float(by_row.mean()))
    for seeds in range(2, most + 1):
        parts = np.array([by_row.var(ddof=1) / rows, *(each / seeds for each in variances)])
        freedom = np.array([rows - 1, seeds - 1, seeds - 1])
        if _student(0.0, parts, freedom, alpha)[1] <= wanted:
            return seeds
    return None
