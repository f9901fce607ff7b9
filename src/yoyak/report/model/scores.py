"""Statistics over the stored scorecards: intervals, differences, ties, floors."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from yoyak.metrics.scorecard import Scorecard
from yoyak.metrics.significance import PairComparison, ScorecardGroup, Verdict, compare_pairs
from yoyak.report.model.report import Difference, Floor, Quality
from yoyak.report.model.sources import relative
from yoyak.report.model.values import Measured
from yoyak.runs.run import Run
from yoyak.runs.workspace import Workspace
from yoyak.values import Interval

Cards = Mapping[str, Scorecard]
"""Scorecards of dev by run name."""


def quality(card: Scorecard, record: str, *, intervals: bool = True) -> Quality:
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
        signature=card.protocol.signature,
        alarms=card.alarms,
        record=record,
    )


def _intervals(card: Scorecard) -> tuple[Interval, ...]:
    import numpy as np

    from yoyak.metrics import bootstrap

    rows = np.array([msgspec.structs.astuple(row.rouge) for row in card.rows], dtype=np.float64)
    return bootstrap.mean_intervals(rows, seed=card.seed, resamples=card.resamples)


def baseline(runs: Sequence[Run], cards: Cards) -> str | None:
    """Return the oldest scored ``lead`` run (a copy of the first turns), else the oldest scored."""
    scored = [run for run in runs if run.name in cards]
    floors = [run for run in scored if run.recipe.engine == "lead"]
    return next((run.name for run in (*floors, *scored)), None)


def differences(cards: Cards, against: str) -> dict[str, Difference]:
    """Return each run's difference from ``against``, p-values corrected together.

    Runs scored under another protocol are left out.
    """
    return {
        one.system: Difference(
            baseline=against,
            mean=Measured(value=one.difference.mean, interval=one.interval),
            p=one.p_holm,
            verdict=one.verdict,
        )
        for one in _contrasts(cards, against)
    }


def tied_with_best(cards: Cards) -> frozenset[str]:
    """Return the runs that are statistically tied with the best one, including the best."""
    if not cards:
        return frozenset()
    best = max(cards, key=lambda name: cards[name].rouge.mean)
    found = _contrasts(cards, best)
    return frozenset({best, *(one.system for one in found if one.verdict is not Verdict.WORSE)})


def _contrasts(cards: Cards, against: str) -> tuple[PairComparison, ...]:
    group = next(group for group in ScorecardGroup.split(cards) if against in group)
    return compare_pairs(group, [(name, against) for name in group if name != against])


def floors(workspace: Workspace, runs: Sequence[Run], cards: Cards) -> Iterator[Floor]:
    """Yield the scores of the trivial baselines, once for each protocol."""
    seen: set[str] = set()
    for run in runs:
        card = cards.get(run.name)
        if card is None or card.protocol.signature in seen:
            continue
        seen.add(card.protocol.signature)
        known = (("constant", card.floors.constant), ("unrelated", card.floors.unrelated))
        for name, rouge in known:
            if rouge is not None:
                yield Floor(
                    name=name,
                    rouge=rouge,
                    signature=card.protocol.signature,
                    record=relative(workspace, run.folder / "scores" / "dev.json"),
                )
