"""Complementarity of two systems: the gain of choosing the better answer of each row."""

from collections.abc import Mapping
from itertools import combinations
from statistics import fmean

from yoyak.metrics.scorecard import Scorecard
from yoyak.metrics.significance import ScorecardGroup
from yoyak.report.model.values import Pair


def pairs(cards: Mapping[str, Scorecard]) -> tuple[Pair, ...]:
    """Return every pair scored under the same protocol, the most complementary first.

    ``oracle_gain`` is the mean over rows of the better of two answers, less the better system's
    mean: the upper bound of any choice between the two, unreachable without references.
    """
    found = [
        _pair(one, other, group[one], group[other])
        for group in ScorecardGroup.split(cards)
        for one, other in combinations(group, 2)
    ]
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
