"""Test which differences between systems are real: paired tests on the rows they share."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from yoyak.errors import BadData, UsageError
from yoyak.metrics.scorecard import RESAMPLES, SEED, RowScore, Scorecard
from yoyak.values import Interval, Protocol, Rouge, Value

if TYPE_CHECKING:
    from yoyak.metrics.bootstrap import Floats

_TIE = 1e-9


class Verdict(StrEnum):
    """What the data say about a difference; most differences in a contest are not proven."""

    BETTER = "better"
    WORSE = "worse"
    NOT_PROVEN = "not_proven"


class PairComparison(Value, frozen=True, kw_only=True):
    """One system against another, row by row.

    ``difference`` holds system minus baseline of each measure (-1 to 1); its ``mean`` is what is
    tested. ``detectable`` is the true difference that this many rows would prove with 80 %
    power, before any correction; ``None`` where a single row leaves it unknown.
    """

    system: str
    baseline: str
    difference: Rouge
    interval: Interval
    """Of the difference of the means, percentile bootstrap over paired rows."""
    bootstrap_above_zero: float
    """Share of the bootstrap resamples in which the system is ahead (Koehn 2004)."""
    p_value: float
    """Two-sided, approximate randomisation (sign flips of paired rows)."""
    p_holm: float
    """The same after Holm's correction over all contrasts of the comparison."""
    wins: int
    ties: int
    losses: int
    detectable: float | None
    verdict: Verdict


class SystemRanking(Value, frozen=True, kw_only=True):
    """One system in a comparison."""

    system: str
    rouge: Rouge
    interval: Interval


class Comparison(Value, frozen=True, kw_only=True):
    """Systems scored under one protocol on the same rows, best mean first."""

    protocol: Protocol
    baseline: str | None
    """``None``: every pair was tested."""
    standings: tuple[SystemRanking, ...]
    contrasts: tuple[PairComparison, ...]
    alpha: float
    resamples: int
    seed: int

    @property
    def signature(self) -> str:
        """The protocol and the tests on one line."""
        tests = f"ar+bs:{self.resamples}|seed:{self.seed}|holm:{len(self.contrasts)}"
        return f"{self.protocol.signature}|{tests}|alpha:{self.alpha:g}"


def unlike(one: Protocol, other: Protocol) -> tuple[str, ...]:
    """The names of the protocol's parts that differ."""
    return tuple(
        name for name in Protocol.__struct_fields__ if getattr(one, name) != getattr(other, name)
    )


def compare(
    cards: Mapping[str, Scorecard],
    baseline: str | None = None,
    *,
    alpha: float = 0.05,
    seed: int = SEED,
    resamples: int = RESAMPLES,
) -> Comparison:
    """Tests every system against ``baseline``, or every pair where there is none.

    Raises:
        UsageError: fewer than two systems, or a baseline that is not among them.
        BadData: two systems were not scored alike; the message names what differs.
    """
    names = sorted(cards, key=lambda name: -cards[name].rouge.mean)
    _check(cards, names, baseline)
    first = cards[names[0]]
    pairs = _pairs(names, baseline)
    contrasts = compare_pair(
        [(system, other, cards[system].rows, cards[other].rows) for system, other in pairs],
        alpha=alpha,
        seed=seed,
        resamples=resamples,
    )
    return Comparison(
        protocol=first.protocol,
        baseline=baseline,
        standings=tuple(
            SystemRanking(system=name, rouge=cards[name].rouge, interval=cards[name].interval)
            for name in names
        ),
        contrasts=contrasts,
        alpha=alpha,
        resamples=resamples,
        seed=seed,
    )


def _pairs(names: Sequence[str], baseline: str | None) -> list[tuple[str, str]]:
    if baseline is None:
        return list(combinations(names, 2))
    return [(name, baseline) for name in names if name != baseline]


def _check(cards: Mapping[str, Scorecard], names: Sequence[str], baseline: str | None) -> None:
    if len(cards) < 2:
        raise UsageError("metrics.compare-needs-two", count=len(cards))
    if baseline is not None and baseline not in cards:
        raise UsageError("metrics.no-such-baseline", baseline=baseline, known=", ".join(cards))
    first = cards[names[0]]
    for name in names[1:]:
        differing = unlike(first.protocol, cards[name].protocol)
        if differing:
            raise BadData(
                "metrics.unlike-protocols",
                one=names[0],
                other=name,
                differences="; ".join(
                    f"{part}: {getattr(first.protocol, part)} | "
                    f"{getattr(cards[name].protocol, part)}"
                    for part in differing
                ),
            )


Pair = tuple[str, str, Sequence[RowScore], Sequence[RowScore]]


def compare_pair(
    pairs: Sequence[Pair], *, alpha: float = 0.05, seed: int = SEED, resamples: int = RESAMPLES
) -> tuple[PairComparison, ...]:
    """Tests each (system, baseline, its rows, the baseline's rows), corrected as one family.

    Rows are paired by id; all pairs must be over the same ids.
    """
    import numpy as np

    measures = np.stack([_differences(ours, theirs) for _, _, ours, theirs in pairs], axis=1)
    tests = _tests(measures.mean(axis=2), alpha, seed, resamples)
    return tuple(
        _contrast(system, baseline, measures[:, column], tests, column)
        for column, (system, baseline, _, _) in enumerate(pairs)
    )


class _Tests(NamedTuple):
    """Test results, one column a pair."""

    drawn: "Floats"
    p_values: "Floats"
    p_holm: "Floats"
    detectable: "Floats"
    alpha: float


def _tests(means: "Floats", alpha: float, seed: int, resamples: int) -> _Tests:
    from yoyak.metrics import bootstrap

    p_values = bootstrap.randomisation_p(means, seed=seed, resamples=resamples)
    return _Tests(
        drawn=bootstrap.bootstrap_means(means, seed=seed, resamples=resamples),
        p_values=p_values,
        p_holm=bootstrap.holm(p_values),
        detectable=bootstrap.smallest_detectable(means, alpha=alpha),
        alpha=alpha,
    )


def _contrast(
    system: str, baseline: str, measures: "Floats", tests: _Tests, column: int
) -> PairComparison:
    import numpy as np

    from yoyak.metrics import bootstrap

    rows = measures.mean(axis=1)
    rouge1, rouge2, rouge_l = map(float, measures.mean(axis=0))
    drawn, detectable = tests.drawn[:, column], float(tests.detectable[column])
    p_holm = float(tests.p_holm[column])
    return PairComparison(
        system=system,
        baseline=baseline,
        difference=Rouge(rouge1=rouge1, rouge2=rouge2, rougeL=rouge_l),
        interval=bootstrap.percentiles(drawn, level=1 - tests.alpha),
        bootstrap_above_zero=float((drawn > 0).mean()),
        p_value=float(tests.p_values[column]),
        p_holm=p_holm,
        wins=int((rows > _TIE).sum()),
        ties=int((np.abs(rows) <= _TIE).sum()),
        losses=int((rows < -_TIE).sum()),
        detectable=None if np.isnan(detectable) else detectable,
        verdict=_verdict(float(rows.mean()), p_holm, tests.alpha),
    )


def _verdict(difference: float, p_holm: float, alpha: float) -> Verdict:
    if p_holm >= alpha or abs(difference) <= _TIE:
        return Verdict.NOT_PROVEN
    return Verdict.BETTER if difference > 0 else Verdict.WORSE


def _differences(ours: Sequence[RowScore], theirs: Sequence[RowScore]) -> "Floats":
    """(rows, 3), in the order of ``ours``."""
    import numpy as np

    other = {row.id: row.rouge for row in theirs}
    pairs = [(msgspec.structs.astuple(row.rouge), other[row.id]) for row in ours]
    mine = np.array([one for one, _ in pairs], dtype=np.float64)
    return mine - np.array([msgspec.structs.astuple(two) for _, two in pairs], dtype=np.float64)
