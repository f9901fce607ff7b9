"""Who answers: members, votes and component weights, learned on rows that are given.

Nothing here looks at the rows that a choice is later judged on (see
``yoyak.ensemble.cross_validation``). What a choice answers on every row is worked out once and
kept, so that learning on another part of dev costs one mean per choice.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np  # noqa: TID253 -- this module is only imported where answers are blended

from yoyak.ensemble.candidate_pool import CandidatePool
from yoyak.ensemble.methods import EQUAL, Components, expected, first_best, utility
from yoyak.values import Value

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]

COMPONENTS: tuple[Components, ...] = (
    EQUAL,
    (1.0, 2.0, 1.0),
    (1.0, 2.0, 2.0),
    (1.0, 1.0, 2.0),
    (2.0, 1.0, 1.0),
    (1.0, 0.0, 0.0),
)
"""The weights of R1, R2 and RL that are tried, the contest's own first, those of ``vote`` last."""

MEMBERS = 3
"""At most this many systems in a learned set; all of them together may be chosen beside it."""
EXTRA_VOTES = 3
_ROUNDING = 1e-12


class EnsembleConfig(Value, frozen=True, kw_only=True):
    """A way to answer: one column as it is, or the consensus of voting systems.

    ``column`` is set for ``method`` "best", ``votes`` and ``components`` for "mbr".
    """

    method: str
    column: str | None = None
    votes: dict[str, float] = {}
    components: Components = EQUAL

    @property
    def members(self) -> tuple[str, ...]:
        """The systems that vote, or the column's system."""
        return tuple(self.votes) or ((self.column or "").rpartition("/")[0],)


class DevScores:
    """The candidates' texts and scores on dev as arrays.

    Args:
        pool: the candidates.
        table: F1 of all pairs of candidates (``blend.similarity``).
        gains: each candidate's score against the references, (rows, candidates), 0 to 1.
    """

    def __init__(self, pool: CandidatePool, table: "Floats", gains: "Floats") -> None:
        self.pool = pool
        self.gains = gains
        self.rows: Rows = np.arange(len(gains))
        self._pairs = {weights: utility(table, weights) for weights in COMPONENTS}
        self._of = {system: pool.columns_of(system) for system in pool.systems}
        self._known: dict[tuple[object, ...], Floats] = {}

    def column_scores(self, name: str) -> "Floats":
        """What one column scores on each row."""
        names = [column.lineage.name for column in self.pool.columns]
        scores: Floats = self.gains[:, names.index(name)]
        return scores

    def scores(self, choice: EnsembleConfig) -> "Floats":
        """What a choice scores on each row."""
        if choice.column is not None:
            return self.column_scores(choice.column)
        key = (*choice.votes.items(), choice.components)
        if key not in self._known:
            self._known[key] = self._consensus(choice)
        return self._known[key]

    def _consensus(self, choice: EnsembleConfig) -> "Floats":
        at = [place for system in choice.votes for place in self._of[system]]
        at.sort()
        votes = np.zeros(self.gains.shape[1])
        for system, count in choice.votes.items():
            votes[list(self._of[system])] = count / len(self._of[system])
        pairs = self._pairs[choice.components][:, at][:, :, at]
        values = expected(pairs, votes[at])
        chosen = np.array(at)[first_best(values, votes[at] > 0)]
        scores: Floats = self.gains[self.rows, chosen]
        return scores


def best_column(field: DevScores, rows: "Rows", systems: Sequence[str]) -> EnsembleConfig:
    """The column of ``systems`` with the highest mean on ``rows``, the first of those tied."""
    columns = [
        EnsembleConfig(method="best", column=column.lineage.name)
        for column in field.pool.columns
        if column.lineage.system in systems
    ]
    return _best(field, rows, columns)


def learn(
    field: DevScores,
    rows: "Rows",
    *,
    systems: Sequence[str] | None = None,
    members: int = MEMBERS,
    single: EnsembleConfig | None = None,
) -> EnsembleConfig:
    """The best way to answer ``rows``: the best column, or a consensus that scores more.

    All sets of up to ``members`` systems with one vote each are tried, and all systems together,
    as ``vote`` has it: of many equal systems (folds, seeds) no three are as good as all, and what
    learns must be able to answer as what learns nothing. Then come further votes one at a time
    (ensemble selection with replacement, Caruana 2004), then component weights. A step is taken
    only where the mean on ``rows`` rises, so the plainest of equal choices is kept, and the best
    column is left only for a gain above one standard error (Breiman 1984): a smaller one is as
    easily lost on other rows.

    Args:
        field: dev.
        rows: the rows to learn from, and no others.
        systems: who may be chosen (default: all).
        members: at most this many systems, or all.
        single: the column that stands until something is better (default: the best on ``rows``).
    """
    allowed = field.pool.systems if systems is None else tuple(systems)
    single = single or best_column(field, rows, allowed)
    blended = _best(field, rows, [single, *_sets(field.pool, allowed, members)])
    if blended.column is not None:
        return single
    for _ in range(EXTRA_VOTES):
        blended = _best(field, rows, [blended, *_one_more_vote(blended)])
    blended = _best(field, rows, [blended, *_reweighted(blended)])
    return blended if _above_one_error(field, rows, blended, single) else single


def _above_one_error(
    field: DevScores, rows: "Rows", choice: EnsembleConfig, single: EnsembleConfig
) -> bool:
    gains = field.scores(choice)[rows] - field.scores(single)[rows]
    error = float(gains.std(ddof=1) / np.sqrt(len(gains)))
    mean = float(gains.mean())
    return mean > error


def _sets(pool: CandidatePool, systems: Sequence[str], members: int) -> Iterable[EnsembleConfig]:
    """Sets of three columns and more: two always tie, so that one of them would be the answer."""
    for size in (*range(1, members + 1), len(systems)):
        for chosen in combinations(systems, size):
            if sum(len(pool.columns_of(system)) for system in chosen) > 2:
                yield EnsembleConfig(method="mbr", votes=dict.fromkeys(chosen, 1.0))


def _one_more_vote(choice: EnsembleConfig) -> Iterable[EnsembleConfig]:
    for system in choice.votes:
        votes = choice.votes | {system: choice.votes[system] + 1}
        yield EnsembleConfig(method="mbr", votes=votes, components=choice.components)


def _reweighted(choice: EnsembleConfig) -> Iterable[EnsembleConfig]:
    for components in COMPONENTS:
        yield EnsembleConfig(method="mbr", votes=choice.votes, components=components)


def _best(field: DevScores, rows: "Rows", choices: Iterable[EnsembleConfig]) -> EnsembleConfig:
    """The choice with the highest mean on ``rows``, the first of those within rounding of it."""
    first, *others = ((choice, float(field.scores(choice)[rows].mean())) for choice in choices)
    kept, height = first
    for choice, mean in others:
        if mean > height + _ROUNDING:
            kept, height = choice, mean
    return kept
