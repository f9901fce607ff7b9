"""Resample rows: bootstrap intervals, the sign-flip randomisation test, Holm's correction.

Resamples are drawn in blocks. Seeds make every figure repeatable.
"""

import math
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


def subset_means(differences: "Floats", *, seed: int, resamples: int) -> "Floats":
    """Return means over random subsets of rows, each row in or out with probability 1/2.

    Their distribution inverts the sign-flip randomisation test (Hartigan 1969): flipping the signs
    of a subset leaves the sum as extreme as observed exactly where the subset's mean is on the
    other side of the null. So one set of draws gives p values and intervals that always agree.

    Returns:
        (resamples, columns); NaN for the empty subset, which is compatible with every null.
    """
    random, rows = default_rng(seed), len(differences)
    blocks = []
    for size in _blocks(rows, resamples):
        bits = np.unpackbits(
            random.integers(0, 256, size=(size, -(-rows // 8)), dtype=np.uint8), axis=1
        )[:, :rows]
        counts = bits.sum(axis=1, dtype=np.float64)[:, None]
        counts[counts == 0] = np.nan
        blocks.append((bits.astype(np.float64) @ differences) / counts)
    means: Floats = np.concatenate(blocks)
    return means


def sign_flip_p(means: "Floats") -> "Floats":
    """Return the two-sided p of each column's mean under random sign flips (Noreen 1989).

    ``means`` come from ``subset_means``. The observed signs count as one of the draws, so p is
    never zero.
    """
    reached = np.minimum(_at_most(means, 0.0), _at_most(-means, 0.0))
    p_values: Floats = np.minimum(1.0, 2 * (reached + 1) / (len(means) + 1))
    return p_values


def noninferiority_p(means: "Floats", margin: float) -> "Floats":
    """Return the one-sided p of each column against "worse by ``margin`` or more"."""
    p_values: Floats = (_at_most(means, -margin) + 1) / (len(means) + 1)
    return p_values


def sign_flip_interval(means: "Floats", alpha: float) -> Interval:
    """Return the interval of one column that excludes 0 exactly where ``sign_flip_p < alpha``.

    It is -1 to 1, all that a difference of two fractions can be, where ``alpha`` asks for more
    resamples than there are.
    """
    index = math.ceil(alpha * (len(means) + 1) / 2 - 1 - 1e-9) - 1
    if index < 0:
        return Interval(low=-1.0, high=1.0, level=1 - alpha)
    low = np.sort(np.nan_to_num(means, nan=-1.0))[index]
    high = -np.sort(-np.nan_to_num(means, nan=1.0))[index]
    return Interval(low=float(low), high=float(high), level=1 - alpha)


def _at_most(means: "Floats", null: float) -> "Floats":
    reached: Floats = (~(means > null + 1e-12)).sum(axis=0)  # NaN counts as reached
    return reached


def holm(p_values: "Floats") -> "Floats":
    """Apply Holm's step-down correction (1979) to a family of p values."""
    order = np.argsort(p_values)
    steps = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum(steps, 1.0)
    return corrected


def holm_levels(p_values: "Floats", alpha: float) -> "Floats":
    """Return the level at which Holm's procedure tests each p: ``p < level`` where it rejects.

    The smallest p is tested at ``alpha`` over the number of tests, the next at ``alpha`` over one
    less, and so on; from the first p that is not rejected, all others are tested at its level.
    """
    order = np.argsort(p_values)
    levels = alpha / np.arange(len(p_values), 0, -1)
    kept = np.flatnonzero(p_values[order] >= levels)
    if len(kept):
        levels[kept[0] :] = levels[kept[0]]
    found = np.empty_like(levels)
    found[order] = levels
    return found
