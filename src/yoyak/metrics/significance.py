"""Test which differences between systems are real: paired tests on the rows they share."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import combinations
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from yoyak.errors import BadData, UsageError
from yoyak.messages import listed
from yoyak.metrics.scorecard import RESAMPLES, SEED, Scorecard
from yoyak.values import Interval, Protocol, Rouge, Value

if TYPE_CHECKING:
    from yoyak.metrics.bootstrap import Floats

_TIE = 1e-9


MARGIN = 0.005
"""Half a point: a system that is worse by less still counts as "as good as"."""


class Verdict(StrEnum):
    """What the data say about a system beside its baseline.

    ``BETTER`` and ``WORSE`` are two-sided tests, Holm-corrected over the comparison. ``AS_GOOD``
    is non-inferiority: not better, but proven to be worse by less than the margin. ``NOT_PROVEN``
    is none of these, which does not mean equal.
    """

    BETTER = "better"
    WORSE = "worse"
    AS_GOOD = "as_good"
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
    """Of the difference, at the level of Holm's step: it excludes 0 where the verdict is better
    or worse, and only there."""
    p_value: float
    """Two-sided, approximate randomisation (sign flips of paired rows)."""
    p_holm: float
    """The same after Holm's correction over all contrasts of the comparison."""
    p_as_good: float
    """One-sided, of "worse by the margin or more", Holm-corrected over all contrasts."""
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
    margin: float
    """What still counts as "as good as", as a fraction (0.005 is half a point)."""
    resamples: int
    seed: int

    @property
    def signature(self) -> str:
        """Return the protocol and the tests on one line."""
        tests = f"ar:{self.resamples}|seed:{self.seed}|holm:{len(self.contrasts)}"
        limits = f"alpha:{self.alpha:g}|margin:{100 * self.margin:g}"
        return f"{self.protocol.signature}|{tests}|{limits}"


def unlike(one: Protocol, other: Protocol) -> tuple[str, ...]:
    """Return the names of the protocol's parts that differ."""
    return tuple(
        name for name in Protocol.__struct_fields__ if getattr(one, name) != getattr(other, name)
    )


class ScorecardGroup(Mapping[str, Scorecard]):
    """Scorecards by system that share protocol and data: the only ones that can be compared.

    Args:
        cards: the scorecards; their protocols say which ids and references they are scored against.
        dialogues: fingerprint of the dialogues that a system answered, where it is known.

    Raises:
        BadData: two scorecards differ in protocol, references or dialogues.
    """

    def __init__(
        self,
        cards: Mapping[str, Scorecard],
        dialogues: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._cards = dict(cards)
        self._dialogues = {name: dialogues[name] for name in cards if name in dialogues}
        (first, *others) = self._cards or [""]
        for name in others:
            _refuse_unlike(first, self._cards[first].protocol, name, self._cards[name].protocol)
        (first, *others) = self._dialogues or [""]
        for name in others:
            if self._dialogues[name] != self._dialogues[first]:
                raise BadData("metrics.unlike-dialogues", one=first, other=name)

    @classmethod
    def split(
        cls,
        cards: Mapping[str, Scorecard],
        dialogues: Mapping[str, str] = MappingProxyType({}),
    ) -> "tuple[ScorecardGroup, ...]":
        """Return one group for each protocol and data, in the order of their first scorecards."""
        groups: dict[tuple[Protocol, str | None], dict[str, Scorecard]] = {}
        for name, card in cards.items():
            groups.setdefault((card.protocol, dialogues.get(name)), {})[name] = card
        return tuple(cls(group, dialogues) for group in groups.values())

    def without(self, names: Collection[str]) -> "ScorecardGroup":
        """Return the group of the other systems."""
        kept = {name: self[name] for name in self if name not in names}
        return ScorecardGroup(kept, self._dialogues)

    def __getitem__(self, name: str) -> Scorecard:
        return self._cards[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._cards)

    def __len__(self) -> int:
        return len(self._cards)


def _refuse_unlike(one: str, ours: Protocol, other: str, theirs: Protocol) -> None:
    differing = unlike(ours, theirs)
    if differing == ("data_sha256",):
        raise BadData("metrics.unlike-references", one=one, other=other)
    if differing:
        raise BadData(
            "metrics.unlike-protocols",
            one=one,
            other=other,
            differences="; ".join(
                f"{part}: {getattr(ours, part)} | {getattr(theirs, part)}" for part in differing
            ),
        )


def compare(
    cards: Mapping[str, Scorecard],
    baseline: str | None = None,
    *,
    alpha: float = 0.05,
    margin: float = MARGIN,
    seed: int = SEED,
    resamples: int = RESAMPLES,
) -> Comparison:
    """Test every system against ``baseline``, or every pair where there is none.

    Raises:
        UsageError: fewer than two systems, or a baseline that is not among them.
        BadData: two systems were not scored alike; the message names what differs.
    """
    group = cards if isinstance(cards, ScorecardGroup) else ScorecardGroup(cards)
    names = sorted(group, key=lambda name: -group[name].rouge.mean)
    if len(group) < 2:
        raise UsageError("metrics.compare-needs-two", count=len(group))
    if baseline is not None and baseline not in group:
        raise UsageError("metrics.no-such-baseline", baseline=baseline, known=listed(group))
    return Comparison(
        protocol=group[names[0]].protocol,
        baseline=baseline,
        standings=tuple(
            SystemRanking(system=name, rouge=group[name].rouge, interval=group[name].interval)
            for name in names
        ),
        contrasts=compare_pairs(
            group,
            _pairs(names, baseline),
            alpha=alpha,
            margin=margin,
            seed=seed,
            resamples=resamples,
        ),
        alpha=alpha,
        margin=margin,
        resamples=resamples,
        seed=seed,
    )


def _pairs(names: Sequence[str], baseline: str | None) -> list[tuple[str, str]]:
    if baseline is None:
        return list(combinations(names, 2))
    return [(name, baseline) for name in names if name != baseline]


def compare_pairs(
    group: ScorecardGroup,
    pairs: Sequence[tuple[str, str]],
    *,
    alpha: float = 0.05,
    margin: float = MARGIN,
    seed: int = SEED,
    resamples: int = RESAMPLES,
) -> tuple[PairComparison, ...]:
    """Test each (system, baseline) of ``group``, corrected as one family; rows are paired by id."""
    import numpy as np

    if not pairs:
        return ()
    measures = np.stack([_differences(group[one], group[other]) for one, other in pairs], axis=1)
    tests = paired_tests(
        measures.mean(axis=2), alpha=alpha, margin=margin, seed=seed, resamples=resamples
    )
    return tuple(
        _contrast(pair, measures[:, column], test)
        for column, (pair, test) in enumerate(zip(pairs, tests, strict=True))
    )


class PairedTest(NamedTuple):
    """The tests of one pair; see ``PairComparison`` for the fields."""

    interval: Interval
    p_value: float
    p_holm: float
    p_as_good: float
    detectable: float | None
    verdict: Verdict


def paired_tests(
    differences: "Floats", *, alpha: float, margin: float, seed: int, resamples: int
) -> tuple[PairedTest, ...]:
    """Test the mean of each column of ``differences`` (rows, pairs), corrected as one family.

    Superiority is two-sided at ``alpha``; non-inferiority is one-sided at half of ``alpha``, the
    lower half of a two-sided interval. Each is corrected by Holm (1979) over all columns.
    """
    import numpy as np

    from yoyak.metrics import bootstrap

    means = bootstrap.subset_means(differences, seed=seed, resamples=resamples)
    p_values = bootstrap.sign_flip_p(means)
    p_holm = bootstrap.holm(p_values)
    levels = bootstrap.holm_levels(p_values, alpha)
    p_as_good = bootstrap.holm(bootstrap.noninferiority_p(means, margin))
    detectable = bootstrap.smallest_detectable(differences, alpha=alpha)
    observed = differences.mean(axis=0)
    tests = []
    for column in range(differences.shape[1]):
        verdict = Verdict.AS_GOOD if p_as_good[column] < alpha / 2 else Verdict.NOT_PROVEN
        if p_values[column] < levels[column]:
            verdict = Verdict.BETTER if observed[column] > 0 else Verdict.WORSE
        tests.append(
            PairedTest(
                interval=bootstrap.sign_flip_interval(means[:, column], float(levels[column])),
                p_value=float(p_values[column]),
                p_holm=float(p_holm[column]),
                p_as_good=float(p_as_good[column]),
                detectable=None if np.isnan(detectable[column]) else float(detectable[column]),
                verdict=verdict,
            )
        )
    return tuple(tests)


def _contrast(pair: tuple[str, str], measures: "Floats", test: PairedTest) -> PairComparison:
    import numpy as np

    rows = measures.mean(axis=1)
    rouge1, rouge2, rouge_l = map(float, measures.mean(axis=0))
    return PairComparison(
        system=pair[0],
        baseline=pair[1],
        difference=Rouge(rouge1=rouge1, rouge2=rouge2, rougeL=rouge_l),
        wins=int((rows > _TIE).sum()),
        ties=int((np.abs(rows) <= _TIE).sum()),
        losses=int((rows < -_TIE).sum()),
        **test._asdict(),
    )


def _differences(ours: Scorecard, theirs: Scorecard) -> "Floats":
    """Return (rows, 3), in the order of ``ours``."""
    import numpy as np

    other = {row.id: row.rouge for row in theirs.rows}
    pairs = [(msgspec.structs.astuple(row.rouge), other[row.id]) for row in ours.rows]
    mine = np.array([one for one, _ in pairs], dtype=np.float64)
    return mine - np.array([msgspec.structs.astuple(two) for _, two in pairs], dtype=np.float64)
