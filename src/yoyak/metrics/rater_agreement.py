"""Which of two systems people prefer, and how far the people agree."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from yoyak.metrics.significance import Verdict
from yoyak.values import Interval, Value

ALPHA = 0.05


class Preferred(StrEnum):
    """Which of the two summaries of a row a person prefers."""

    ONE = "one"
    OTHER = "other"
    TIE = "tie"


class Preference(Value, frozen=True, kw_only=True):
    """What people prefer of two systems; a row counts once, by the majority of its raters."""

    raters: int
    one_better: int
    """Rows on which the first system is preferred."""
    other_better: int
    ties: int
    share: Interval | None
    """Exact interval (Clopper & Pearson 1934) of the share of ``one_better`` among the rows that
    prefer either; ``None`` where none does."""
    p_holm: float
    """Two-sided sign test of the same, Holm-corrected over all pairs."""
    verdict: Verdict
    agreement: float | None
    """Krippendorff's alpha: 1 is perfect, 0 is chance; ``None`` where no row has two raters, or
    all gave one answer everywhere."""

    @property
    def is_proven(self) -> bool:
        """Return whether people prefer one of the two, beyond chance."""
        return self.verdict is not Verdict.NOT_PROVEN


class _Counts(NamedTuple):
    one: int
    other: int
    tie: int


Votes = Mapping[str, Mapping[str, Preferred]]
"""What each rater prefers, by row and rater."""


def preferences(pairs: Sequence[Votes]) -> tuple[Preference, ...]:
    """Return what people prefer in each pair of systems; the tests are corrected together."""
    import numpy as np
    from scipy.stats import binomtest

    from yoyak.metrics import bootstrap

    counts = [_counts(votes) for votes in pairs]
    tests = [
        binomtest(one.one, one.one + one.other) if one.one + one.other else None for one in counts
    ]
    raw = np.array([1.0 if test is None else test.pvalue for test in tests], dtype=np.float64)
    corrected = bootstrap.holm(raw)
    found = []
    for votes, count, test, p in zip(pairs, counts, tests, corrected.tolist(), strict=True):
        limits = None if test is None else test.proportion_ci(1 - ALPHA, method="exact")
        found.append(
            Preference(
                raters=len({rater for row in votes.values() for rater in row}),
                one_better=count.one,
                other_better=count.other,
                ties=count.tie,
                share=None
                if limits is None
                else Interval(low=float(limits.low), high=float(limits.high)),
                p_holm=p,
                verdict=_verdict(count, p),
                agreement=krippendorff_alpha(row.values() for row in votes.values()),
            )
        )
    return tuple(found)


def _verdict(count: _Counts, p_holm: float) -> Verdict:
    if p_holm > ALPHA:
        return Verdict.NOT_PROVEN
    return Verdict.BETTER if count.one > count.other else Verdict.WORSE


def _counts(votes: Votes) -> _Counts:
    """Count the rows by their majority; as many for one as for the other is a tie."""
    signs = []
    for row in votes.values():
        cast = Counter(row.values())
        signs.append(cast[Preferred.ONE] - cast[Preferred.OTHER])
    return _Counts(sum(sign > 0 for sign in signs), sum(sign < 0 for sign in signs), signs.count(0))


def krippendorff_alpha(units: Iterable[Iterable[str]]) -> float | None:
    """Return Krippendorff's alpha for nominal data (2011); units may have any number of ratings.

    Units with a single rating say nothing about agreement. ``None`` without a unit that has two,
    or where only one answer was ever given.
    """
    rated = [Counter(unit) for unit in units]
    shared = [unit for unit in rated if unit.total() > 1]
    answers = sum(shared, Counter[str]())
    total = answers.total()
    by_chance = total**2 - sum(count**2 for count in answers.values())
    if not by_chance:
        return None
    apart = sum(
        (unit.total() ** 2 - sum(count**2 for count in unit.values())) / (unit.total() - 1)
        for unit in shared
    )
    return 1 - (total - 1) * apart / by_chance
