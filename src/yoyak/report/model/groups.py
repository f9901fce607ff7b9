"""Compare the systems of a group: intervals, differences, ties, floors, pairs, the front."""

from collections.abc import Collection, Sequence
from itertools import combinations
from statistics import fmean

import msgspec

from yoyak.config.project import NO_BUDGET, Budget
from yoyak.metrics.scorecard import Scorecard
from yoyak.metrics.significance import PairComparison, ScorecardGroup, Verdict, compare_pairs
from yoyak.report.model.report import Basis, Difference, Floor, Measured, Pair, Quality, System
from yoyak.values import Interval


def quality(card: Scorecard, dev_sha256: str, record: str, *, intervals: bool = True) -> Quality:
    """Return the scorecard's figures; with ``intervals``, each measure with one from its rows."""
    rouge = card.rouge
    known = _intervals(card) if intervals else (None, None, None)
    rouge1, rouge2, rouge_l = (
        Measured(value=value, interval=each)
        for value, each in zip(msgspec.structs.astuple(rouge), known, strict=True)
    )
    return Quality(
        rouge1=rouge1,
        rouge2=rouge2,
        rougeL=rouge_l,
        mean=Measured(value=rouge.mean, interval=card.interval),
        rows=card.n,
        basis=Basis(signature=card.protocol.signature, dev_sha256=dev_sha256),
        floors=tuple(
            Floor(name=name, rouge=rouge, record=record)
            for name, rouge in card.floors.known.items()
        ),
        alarms=card.alarms,
        faults=card.statistics.predictions.faults if intervals else {},
        slices=card.slices if intervals else (),
        record=record,
    )


def _intervals(card: Scorecard) -> tuple[Interval, ...]:
    import numpy as np

    from yoyak.metrics import bootstrap

    rows = np.array([msgspec.structs.astuple(row.rouge) for row in card.rows], dtype=np.float64)
    return bootstrap.mean_intervals(rows, seed=card.seed, resamples=card.resamples)


def baseline(group: ScorecardGroup, copies: Collection[str]) -> str:
    """Return the first of ``copies`` (systems that copy the first turns), else the first system."""
    return next((name for name in group if name in copies), next(iter(group)))


def differences(group: ScorecardGroup, against: str) -> dict[str, Difference]:
    """Return each system's difference from ``against``, p-values corrected together."""
    return {
        one.system: Difference(
            baseline=against,
            mean=Measured(value=one.difference.mean, interval=one.interval),
            p=one.p_holm,
            verdict=one.verdict,
        )
        for one in _contrasts(group, against)
    }


def tied_with_best(group: ScorecardGroup) -> frozenset[str]:
    """Return the systems that are statistically tied with the best one, including the best."""
    best = max(group, key=lambda name: group[name].rouge.mean)
    found = _contrasts(group, best)
    return frozenset({best, *(one.system for one in found if one.verdict is not Verdict.WORSE)})


def _contrasts(group: ScorecardGroup, against: str) -> tuple[PairComparison, ...]:
    return compare_pairs(group, [(name, against) for name in group if name != against])


# --- pairs ------------------------------------------------------------


def pairs(group: ScorecardGroup) -> tuple[Pair, ...]:
    """Return every pair of the group, the most complementary first.

    ``oracle_gain`` is the mean over rows of the better of two answers, less the better system's
    mean: the upper bound of any choice between the two, unreachable without references.
    """
    found = [_pair(one, other, group[one], group[other]) for one, other in combinations(group, 2)]
    return tuple(sorted(found, key=lambda pair: -pair.oracle_gain))


def _pair(one: str, other: str, card: Scorecard, second: Scorecard) -> Pair:
    theirs = {row.id: row.rouge.mean for row in second.rows}
    both = [(row.rouge.mean, theirs[row.id]) for row in card.rows]
    ours, best = fmean(mine for mine, _ in both), fmean(max(pair) for pair in both)
    return Pair(
        one=one,
        other=other,
        oracle_gain=best - max(ours, fmean(their for _, their in both)),
        other_better=sum(their > mine for mine, their in both) / len(both),
    )


# --- the Pareto front ------------------------------------------------------------


def front(systems: Sequence[System], budget: Budget = NO_BUDGET) -> tuple[System, ...]:
    """Return the systems of a group, each model marked if it is on the Pareto front in the budget.

    Compare quality, training time, peak VRAM, decoding time and size; toys and untrained systems
    are not marked. A criterion that was not measured for both models is ignored.
    """
    models = [one for one in systems if is_model(one)]
    able = [one for one in models if is_within(one, budget)]
    marked = {one.run: False for one in models} | {
        one.run: not any(_beats(other, one) for other in able if other is not one) for one in able
    }
    return tuple(msgspec.structs.replace(one, on_front=marked.get(one.run)) for one in systems)


def is_within(system: System, budget: Budget) -> bool:
    """Return whether no measured cost of the system exceeds the budget."""
    cost, minutes = system.cost, budget.train_minutes
    pairs = (
        (cost.train_seconds, None if minutes is None else 60 * minutes),
        (cost.peak_vram_gb, budget.vram_gb),
        (
            cost.decode_seconds_per_100,
            None if budget.seconds_per_summary is None else 100 * budget.seconds_per_summary,
        ),
    )
    return all(found is None or most is None or found <= most for found, most in pairs)


def is_model(system: System) -> bool:
    """Return whether the system is a scored, trained model and not a toy."""
    return system.quality is not None and not system.toy and system.tied_with_best is not None


def _beats(one: System, other: System) -> bool:
    """Return whether ``one`` is at least as good wherever both were measured, better somewhere."""
    gains = [
        theirs - ours
        for ours, theirs in zip(_costs(one), _costs(other), strict=True)
        if ours is not None and theirs is not None
    ]
    return all(gain >= 0 for gain in gains) and any(gain > 0 for gain in gains)


def _costs(one: System) -> tuple[float | None, ...]:
    """Return the criteria, each with lower values better."""
    return (
        None if one.quality is None else -one.quality.mean.value,
        one.cost.train_seconds,
        one.cost.peak_vram_gb,
        one.cost.decode_seconds_per_100,
        one.parameters,
    )


def smallest_tied(models: Sequence[System], budget: Budget = NO_BUDGET) -> System | None:
    """Return the model with the fewest parameters of those tied with the best in the budget."""
    tied = [
        (one.parameters, one) for one in models if one.tied_with_best and is_within(one, budget)
    ]
    known = [(parameters, one) for parameters, one in tied if parameters is not None]
    return min(known, key=lambda pair: pair[0])[1] if known else None
