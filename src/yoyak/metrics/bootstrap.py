"""Resample rows: bootstrap intervals, the sign-flip randomisation test, Holm's correction.

Resamples are drawn in blocks. Seeds make every figure repeatable.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np  # noqa: TID253 -- only imported by functions that compute
from numpy.random import default_rng  # noqa: TID253 -- as above

from yoyak.values import Interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_BLOCK_CELLS = 400_000
NORMAL_FROM_ROWS = 20_000
"""From here on the normal interval is used: it is the bootstrap's limit and costs nothing."""


def _blocks(rows: int, resamples: int) -> Iterator[int]:
    size = max(1, _BLOCK_CELLS // rows)
    for start in range(0, resamples, size):
        yield min(size, resamples - start)


def bootstrap_means(values: "Floats", *, seed: int, resamples: int) -> "Floats":
    """Return means of rows drawn with replacement (Efron 1979).

    Args:
        values: (rows, columns); the columns of a resample share their rows, so that differences
            of columns are paired.
        seed: of the draws.
        resamples: how many.

    Returns:
        (resamples, columns).
    """
    random, rows = default_rng(seed), len(values)
    width = np.uint16 if rows <= 2**16 else np.int64  # 16-bit draws take half the time
    columns = np.ascontiguousarray(values.T)
    blocks = []
    for size in _blocks(rows, resamples):
        drawn = random.integers(0, rows, size=(size, rows), dtype=width).astype(np.intp)
        blocks.append(np.stack([column.take(drawn).sum(axis=1) for column in columns], axis=1))
    means: Floats = np.concatenate(blocks) / rows
    return means


def mean_intervals(
    values: "Floats", *, seed: int, resamples: int, level: float = 0.95
) -> tuple[Interval, ...]:
    """Return the percentile-bootstrap interval of each column's mean, for one row or more."""
    if len(values) >= NORMAL_FROM_ROWS:
        return _normal_intervals(values, level)
    means = bootstrap_means(values, seed=seed, resamples=resamples)
    return tuple(percentiles(column, level=level) for column in means.T)


def percentiles(drawn: "Floats", *, level: float = 0.95) -> Interval:
    """Return the interval that holds the middle ``level`` of drawn means."""
    low, high = np.quantile(drawn, ((1 - level) / 2, (1 + level) / 2))
    return Interval(low=float(low), high=float(high), level=level)


def _normal_intervals(values: "Floats", level: float) -> tuple[Interval, ...]:
    centre, half = values.mean(axis=0), _z((1 + level) / 2) * standard_errors(values)
    return tuple(
        Interval(low=float(middle - width), high=float(middle + width), level=level)
        for middle, width in zip(centre, half, strict=True)
    )


def standard_errors(values: "Floats") -> "Floats":
    """Return the standard error of each column's mean; NaN for a single row."""
    if len(values) < 2:
        return np.full(values.shape[1], np.nan)
    errors: Floats = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return errors


def _z(probability: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(probability)


def smallest_detectable(
    differences: "Floats", *, alpha: float = 0.05, power: float = 0.8
) -> "Floats":
    """Return the true difference that a two-sided test at ``alpha`` would find with ``power``.

    Per column of paired row differences, by the normal approximation (Cohen 1988).
    """
    return (_z(1 - alpha / 2) + _z(power)) * standard_errors(differences)


def randomisation_p(differences: "Floats", *, seed: int, resamples: int) -> "Floats":
    """Return the two-sided p of each column's mean under random sign flips (Noreen 1989).

    The observed assignment counts as one of the draws, so p is never zero.
    """
    random, rows = default_rng(seed), len(differences)
    observed = np.abs(differences.sum(axis=0))
    reached = np.zeros(differences.shape[1])
    for size in _blocks(rows, resamples):
        bits = np.unpackbits(
            random.integers(0, 256, size=(size, -(-rows // 8)), dtype=np.uint8), axis=1
        )[:, :rows]
        sums = 2 * (bits.astype(np.float64) @ differences) - differences.sum(axis=0)
        reached += (np.abs(sums) >= observed - 1e-9).sum(axis=0)
    return (reached + 1) / (resamples + 1)


def holm(p_values: "Floats") -> "Floats":
    """Apply Holm's step-down correction (1979) to a family of p values."""
    order = np.argsort(p_values)
    steps = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum(steps, 1.0)
    return corrected
