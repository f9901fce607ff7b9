"""What the best of several trials gains by chance alone: the winner's curse of a search.

The best of n equally good systems is above their mean on the rows that it was chosen on. How far
is simulated from the observed scores: every trial is moved to the same mean, so that none is
better, and rows are drawn with replacement; rows that are hard for all stay so, as only
differences of trials make a winner.
"""

from typing import TYPE_CHECKING

from yoyak.values import Interval, Value

if TYPE_CHECKING:
    from yoyak.metrics.bootstrap import Floats

RESAMPLES = 1_000
SEED = 42


class ChanceGain(Value, frozen=True, kw_only=True):
    """What the best of the first ``trials`` would be above the first of them if all were equal."""

    trials: int
    expected: float
    interval: Interval
    """Holds 95 % of the simulated searches; a real gain is above ``high``."""


def chance_gains(
    scores: "Floats", *, seed: int = SEED, resamples: int = RESAMPLES
) -> tuple[ChanceGain, ...]:
    """Return the gain by chance after each trial.

    Args:
        scores: (rows, trials) in the order of the search; the first trial is the baseline.
        seed: of the simulation.
        resamples: simulated searches.
    """
    import numpy as np

    from yoyak.metrics.bootstrap import bootstrap_means, percentiles

    equal = scores - scores.mean(axis=0)
    means = bootstrap_means(equal, seed=seed, resamples=resamples)
    best = np.maximum.accumulate(means - means[:, :1], axis=1)
    return tuple(
        ChanceGain(trials=at + 1, expected=float(column.mean()), interval=percentiles(column))
        for at, column in enumerate(best.T)
    )
