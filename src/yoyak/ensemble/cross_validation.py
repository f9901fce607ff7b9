"""What a blend is really worth: chosen on one half of dev, judged on the other, again and again.

Each repeat cuts dev in two at random and goes both ways, so that every row is held out equally
often. A row's figure is its mean over the repeats; intervals are paired bootstraps over rows, which
is what limits the evidence. The repeats themselves only take the luck out of the cuts.

The single system is the one that is best on all of dev, on both sides of the comparison: it stands
wherever a half shows nothing better. What is measured is blending, not the choice among singles.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np  # noqa: TID253 -- this module is only imported where answers are blended

from yoyak.ensemble.gain import Gain
from yoyak.ensemble.member_selection import MEMBERS, DevScores, EnsembleConfig, best_column, learn
from yoyak.ensemble.methods import ensemble_inputs, load
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
    """What one system brings: alone, and as a loss of the held-out blend when it is left out."""

    system: str
    alone: float
    gain: float
    interval: Interval
    halves: int
    """In how many of the learned halves it was a member."""


class CrossValidation(Value, frozen=True, kw_only=True):
    """The held-out worth of blending; all means are 0 to 1, on the same rows."""

    rows: int
    repeats: int
    seed: int
    single: float
    """Mean of the column that is best on all rows: the one a team would hand in.

    It was picked on the rows that it is judged on, so it is flattered and a gain over it is not.
    """
    single_held_out: float
    """Held-out mean of the column that was best on the other half.

    Of equal systems the one ahead on one half is behind on the other, so this falls low; it is
    shown, and no gain is measured from it.
    """
    blend: Gain
    """Held-out mean of what ``learn`` chose on the other half."""
    controls: tuple[Gain, ...]
    """Blends that learn nothing, on all rows."""
    vote_over_blend: Gain
    """The consensus that learns nothing against the held-out blend."""
    oracle: float
    """The best candidate of each row: no choice can do better."""
    random: float
    """The mean candidate: a choice that does worse is a mistake."""
    halves_blended: int
    """In how many of the ``2 * repeats`` halves a consensus was chosen over the best column."""
    members: tuple[MemberContribution, ...]
    systems: tuple[str, ...]
    """The best on dev first."""
    complementarity: tuple[tuple[float, ...], ...]
    """Per pair of ``systems``: mean of the better answer of both, less the better one's mean."""
    choice: EnsembleConfig
    """Learned on all of dev, to be used on test."""


def cross_validate(
    field: DevScores,
    *,
    repeats: int = REPEATS,
    seed: int = SEED,
    members: int = MEMBERS,
    resamples: int = RESAMPLES,
) -> CrossValidation:
    """The nested evaluation of blending the field's systems.

    Args:
        field: dev.
        repeats: how often dev is cut in two.
        seed: of the cuts.
        members: at most this many systems in a blend.
        resamples: of every bootstrap interval.
    """
    systems, over = field.pool.systems, partial(gain_over, resamples=resamples)
    halves = tuple(_halves(len(field.rows), repeats, seed))
    column = best_column(field, field.rows, systems)
    single = field.scores(column)
    singles = _held_out(field, halves, [best_column(field, rows, systems) for rows, _ in halves])
    choices = [learn(field, rows, members=members, single=column) for rows, _ in halves]
    blended = _held_out(field, halves, choices)
    controls = {name: _control(field, name) for name in CONTROLS}
    return CrossValidation(
        rows=len(field.rows),
        repeats=repeats,
        seed=seed,
        single=float(single.mean()),
        single_held_out=float(singles.mean()),
        blend=over("blend", blended, single),
        controls=tuple(over(name, scores, single) for name, scores in controls.items()),
        vote_over_blend=over("vote", controls["vote"], blended),
        oracle=float(field.gains.max(axis=1).mean()),
        random=float(field.gains.mean()),
        halves_blended=sum(choice.column is None for choice in choices),
        members=_worths(field, halves, choices, blended, limit=members, over=over),
        systems=systems,
        complementarity=_complementarity(field),
        choice=learn(field, field.rows, members=members),
    )


def _halves(rows: int, repeats: int, seed: int) -> Iterator[tuple["Rows", "Rows"]]:
    """(to learn from, to judge on), both ways of each cut."""
    random = np.random.default_rng(seed)
    for _ in range(repeats):
        order = random.permutation(rows)
        one, two = np.sort(order[: rows // 2]), np.sort(order[rows // 2 :])
        yield one, two
        yield two, one


def _held_out(
    field: DevScores, halves: Sequence[tuple["Rows", "Rows"]], choices: Sequence[EnsembleConfig]
) -> "Floats":
    """Each row's mean score over the repeats, under the choices that had not seen it."""
    total = np.zeros(len(field.rows))
    for (_, judged), choice in zip(halves, choices, strict=True):
        total[judged] += field.scores(choice)[judged]
    mean: Floats = total / (len(halves) / 2)
    return mean


def gain_over(
    name: str, scores: "Floats", baseline: "Floats", *, resamples: int = RESAMPLES
) -> Gain:
    """The gain of ``scores`` over ``baseline``, row by row."""
    # Sums of many halves differ in their last bits, and dust must not count as proven.
    differences = np.round(scores - baseline, _DIGITS)
    [interval] = mean_intervals(differences[:, None], seed=SEED, resamples=resamples)
    return Gain(
        name=name,
        mean=float(scores.mean()),
        difference=float(differences.mean()),
        interval=interval,
    )


def _control(field: DevScores, name: str) -> "Floats":
    chosen = load(name)(ensemble_inputs(field.pool))
    scores: Floats = field.gains[field.rows, np.array(chosen)]
    return scores


def _worths(
    field: DevScores,
    halves: Sequence[tuple["Rows", "Rows"]],
    choices: Sequence[EnsembleConfig],
    blended: "Floats",
    *,
    limit: int,
    over: Callable[[str, "Floats", "Floats"], Gain],
) -> tuple[MemberContribution, ...]:
    """Every system's worth, the highest first."""
    systems = field.pool.systems
    worths = []
    for system in systems if len(systems) > 1 else ():
        others = [name for name in systems if name != system]
        column = best_column(field, field.rows, others)
        without = [
            learn(field, rows, systems=others, members=limit, single=column) for rows, _ in halves
        ]
        lost = over(system, blended, _held_out(field, halves, without))
        worths.append(
            MemberContribution(
                system=system,
                alone=float(field.gains[:, field.pool.columns_of(system)[0]].mean()),
                gain=lost.difference,
                interval=lost.interval,
                halves=sum(system in choice.members for choice in choices),
            )
        )
    return tuple(sorted(worths, key=lambda worth: -worth.gain))


def _complementarity(field: DevScores) -> tuple[tuple[float, ...], ...]:
    first = [field.gains[:, field.pool.columns_of(system)[0]] for system in field.pool.systems]
    return tuple(
        tuple(float(np.maximum(one, two).mean() - max(one.mean(), two.mean())) for two in first)
        for one in first
    )
