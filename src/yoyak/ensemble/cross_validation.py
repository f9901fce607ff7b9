"""Repeated two-fold cross-validation of the ensemble: select on one half of dev, score the other.

Each repeat splits dev in two at random and uses both halves in turn, so that every row is held out
equally often. The score of a row is its mean over the repeats; intervals are paired bootstraps
over rows. Repeats reduce the variance of the splits, not that of the rows.

The baseline is the single column that is best on all of dev, in every fold: what is measured is
the ensemble, not the choice among single systems.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np  # noqa: TID253 -- this module is only imported where answers are combined

from yoyak.ensemble.gain import Gain
from yoyak.ensemble.member_selection import (
    MAX_MEMBERS,
    DevScores,
    EnsembleConfig,
    best_column,
    select_members,
)
from yoyak.ensemble.methods import ensemble_inputs, load_method
from yoyak.metrics.bootstrap import mean_intervals
from yoyak.values import Interval, Value

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]

REPEATS = 25
SEED = 42
RESAMPLES = 10_000
_DIGITS = 12
CONTROLS = ("vote", "longest", "random")


class MemberContribution(Value, frozen=True, kw_only=True):
    """Score of one system alone, and the held-out loss of the ensemble when it is left out."""

    system: str
    alone: float
    gain: float
    interval: Interval
    halves: int
    """In how many of the folds it was selected."""


class CrossValidation(Value, frozen=True, kw_only=True):
    """Held-out scores of the ensemble; all means are 0 to 1, on the same rows."""

    rows: int
    repeats: int
    seed: int
    single: float
    """Mean of the column that is best on all rows: the baseline.

    It was chosen on the rows it is scored on, so it is biased upwards and a gain over it is not.
    """
    single_held_out: float
    """Held-out mean of the column that was best on the other half; no gain is measured from it.

    Of equal systems the one ahead on one half is behind on the other, so this is biased downwards.
    """
    blend: Gain
    """Held-out mean of what ``select_members`` chose on the other half."""
    controls: tuple[Gain, ...]
    """Methods that learn nothing, on all rows."""
    vote_over_blend: Gain
    """The ``vote`` method, which learns nothing, against the held-out ensemble."""
    oracle: float
    """Mean of the best candidate of each row: the upper bound of any choice."""
    random: float
    """Mean over all candidates: the expected score of a random choice."""
    halves_blended: int
    """In how many of the ``2 * repeats`` folds MBR was selected over the best column."""
    members: tuple[MemberContribution, ...]
    systems: tuple[str, ...]
    """The best on dev first."""
    complementarity: tuple[tuple[float, ...], ...]
    """Per pair of ``systems``: mean of the better answer of both, minus the better one's mean."""
    choice: EnsembleConfig
    """Selected on all of dev, to be used on test."""


def cross_validate(
    dev: DevScores,
    *,
    repeats: int = REPEATS,
    seed: int = SEED,
    max_members: int = MAX_MEMBERS,
    resamples: int = RESAMPLES,
) -> CrossValidation:
    """Evaluate ensembles of the systems on held-out halves of dev.

    Args:
        dev: scores on dev.
        repeats: how often dev is split in two.
        seed: of the splits.
        max_members: size of the largest set of systems that is searched.
        resamples: of every bootstrap interval.
    """
    systems, gain = dev.pool.systems, partial(gain_over, resamples=resamples)
    folds = tuple(_folds(len(dev.rows), repeats, seed))
    column = best_column(dev, dev.rows, systems)
    single = dev.scores(column)
    singles = _held_out(dev, folds, [best_column(dev, rows, systems) for rows, _ in folds])
    configs = [
        select_members(dev, rows, max_members=max_members, single=column) for rows, _ in folds
    ]
    ensemble = _held_out(dev, folds, configs)
    controls = {name: _control(dev, name) for name in CONTROLS}
    return CrossValidation(
        rows=len(dev.rows),
        repeats=repeats,
        seed=seed,
        single=float(single.mean()),
        single_held_out=float(singles.mean()),
        blend=gain("blend", ensemble, single),
        controls=tuple(gain(name, scores, single) for name, scores in controls.items()),
        vote_over_blend=gain("vote", controls["vote"], ensemble),
        oracle=float(dev.gains.max(axis=1).mean()),
        random=float(dev.gains.mean()),
        halves_blended=sum(config.column is None for config in configs),
        members=_contributions(dev, folds, configs, ensemble, limit=max_members, gain=gain),
        systems=systems,
        complementarity=_complementarity(dev),
        choice=select_members(dev, dev.rows, max_members=max_members),
    )


def _folds(rows: int, repeats: int, seed: int) -> Iterator[tuple["Rows", "Rows"]]:
    """Yield (rows to select on, rows to score), both ways of each split."""
    random = np.random.default_rng(seed)
    for _ in range(repeats):
        order = random.permutation(rows)
        one, two = np.sort(order[: rows // 2]), np.sort(order[rows // 2 :])
        yield one, two
        yield two, one


def _held_out(
    dev: DevScores, folds: Sequence[tuple["Rows", "Rows"]], configs: Sequence[EnsembleConfig]
) -> "Floats":
    """Return each row's mean score over the repeats, under configurations that had not seen it."""
    total = np.zeros(len(dev.rows))
    for (_, held_out), config in zip(folds, configs, strict=True):
        total[held_out] += dev.scores(config)[held_out]
    mean: Floats = total / (len(folds) / 2)
    return mean


def gain_over(
    name: str, scores: "Floats", baseline: "Floats", *, resamples: int = RESAMPLES
) -> Gain:
    """Return the gain of ``scores`` over ``baseline``, paired by row."""
    # Sums of many halves differ in their last bits, which must not count as a proven gain.
    differences = np.round(scores - baseline, _DIGITS)
    [interval] = mean_intervals(differences[:, None], seed=SEED, resamples=resamples)
    return Gain(
        name=name,
        mean=float(scores.mean()),
        difference=float(differences.mean()),
        interval=interval,
    )


def _control(dev: DevScores, name: str) -> "Floats":
    chosen = load_method(name)(ensemble_inputs(dev.pool))
    scores: Floats = dev.gains[dev.rows, np.array(chosen)]
    return scores


def _contributions(
    dev: DevScores,
    folds: Sequence[tuple["Rows", "Rows"]],
    configs: Sequence[EnsembleConfig],
    ensemble: "Floats",
    *,
    limit: int,
    gain: Callable[[str, "Floats", "Floats"], Gain],
) -> tuple[MemberContribution, ...]:
    """Return the contribution of every system by leave-one-out, the highest first."""
    systems = dev.pool.systems
    found = []
    for system in systems if len(systems) > 1 else ():
        others = [name for name in systems if name != system]
        column = best_column(dev, dev.rows, others)
        without = [
            select_members(dev, rows, systems=others, max_members=limit, single=column)
            for rows, _ in folds
        ]
        lost = gain(system, ensemble, _held_out(dev, folds, without))
        found.append(
            MemberContribution(
                system=system,
                alone=float(dev.gains[:, dev.pool.columns_of(system)[0]].mean()),
                gain=lost.difference,
                interval=lost.interval,
                halves=sum(system in config.members for config in configs),
            )
        )
    return tuple(sorted(found, key=lambda one: -one.gain))


def _complementarity(dev: DevScores) -> tuple[tuple[float, ...], ...]:
    first = [dev.gains[:, dev.pool.columns_of(system)[0]] for system in dev.pool.systems]
    return tuple(
        tuple(float(np.maximum(one, two).mean() - max(one.mean(), two.mean())) for two in first)
        for one in first
    )
