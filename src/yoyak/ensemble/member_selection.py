"""Select the members, votes and ROUGE component weights of an ensemble on given dev rows.

Nothing here looks at other rows; ``yoyak.ensemble.cross_validation`` evaluates the selection on
held-out ones. The scores of each configuration on all rows are cached, so selecting again on
another part of dev costs one mean per configuration.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np  # noqa: TID253 -- this module is only imported where answers are combined

from yoyak.ensemble.candidates import Candidate, CandidatePool, pool
from yoyak.ensemble.mbr import expected_utility, first_best, reference_scores, similarity, utility
from yoyak.ensemble.methods import EQUAL, Components
from yoyak.values import Split, Value

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
"""Weights of R1, R2 and RL that are tried: the contest's own first, those of ``vote`` last."""

MAX_MEMBERS = 3
"""Largest set of systems that is searched; all systems together are tried beside it."""
EXTRA_VOTES = 3
_TOLERANCE = 1e-12


class EnsembleConfig(Value, frozen=True, kw_only=True):
    """How to answer: one column as it is, or an ensemble method over weighted systems.

    ``column`` is set for ``method`` "best", ``votes`` and ``components`` for "mbr".
    """

    method: str
    column: str | None = None
    votes: dict[str, float] = {}
    components: Components = EQUAL

    @property
    def members(self) -> tuple[str, ...]:
        """The systems with votes, or the system of the column."""
        return tuple(self.votes) or ((self.column or "").rpartition("/")[0],)


def equal_weights(candidates: Sequence[Candidate], method: str) -> EnsembleConfig:
    """Give every system one vote, for a method that learns nothing."""
    systems = dict.fromkeys((one.lineage.system for one in candidates), 1.0)
    return EnsembleConfig(method=method, votes=systems)


class DevScores:
    """Scores of any ensemble configuration on the rows of dev.

    Args:
        pool: the candidates.
        table: F1 of all pairs of candidates (``mbr.similarity``).
        gains: score of each candidate against the references, (rows, candidates), 0 to 1.
    """

    def __init__(self, pool: CandidatePool, table: "Floats", gains: "Floats") -> None:
        self.pool = pool
        self.gains = gains
        self.rows: Rows = np.arange(len(gains))
        self._pairs = {weights: utility(table, weights) for weights in COMPONENTS}
        self._columns = {system: pool.columns_of(system) for system in pool.systems}
        self._cache: dict[tuple[object, ...], Floats] = {}

    def column_scores(self, name: str) -> "Floats":
        """Return the score of one column on each row."""
        names = [column.lineage.name for column in self.pool.columns]
        scores: Floats = self.gains[:, names.index(name)]
        return scores

    def scores(self, config: EnsembleConfig) -> "Floats":
        """Return the score of a configuration on each row."""
        if config.column is not None:
            return self.column_scores(config.column)
        key = (*config.votes.items(), config.components)
        if key not in self._cache:
            self._cache[key] = self._mbr_scores(config)
        return self._cache[key]

    def _mbr_scores(self, config: EnsembleConfig) -> "Floats":
        columns = sorted(column for system in config.votes for column in self._columns[system])
        weights = np.zeros(self.gains.shape[1])
        for system, count in config.votes.items():
            weights[list(self._columns[system])] = count / len(self._columns[system])
        pairs = self._pairs[config.components][:, columns][:, :, columns]
        values = expected_utility(pairs, weights[columns])
        chosen = np.array(columns)[first_best(values, weights[columns] > 0)]
        scores: Floats = self.gains[self.rows, chosen]
        return scores


def dev_scores(candidates: Sequence[Candidate], dev: Split) -> DevScores:
    """Score the candidates against dev and each other under the contest's protocol."""
    columns = pool(candidates, dev)
    references = [dialogue.references for dialogue in dev.dialogues]
    return DevScores(columns, similarity(columns), reference_scores(columns, references))


def best_column(dev: DevScores, rows: "Rows", systems: Sequence[str]) -> EnsembleConfig:
    """Return the column with the highest mean on ``rows``, the first of those tied."""
    columns = [
        EnsembleConfig(method="best", column=column.lineage.name)
        for column in dev.pool.columns
        if column.lineage.system in systems
    ]
    return _best(dev, rows, columns)


def select_members(
    dev: DevScores,
    rows: "Rows",
    *,
    systems: Sequence[str] | None = None,
    max_members: int = MAX_MEMBERS,
    single: EnsembleConfig | None = None,
) -> EnsembleConfig:
    """Return the configuration that answers ``rows`` best: the best column, or MBR that beats it.

    Tries all sets of up to ``max_members`` systems with one vote each, and all systems together:
    of many equal systems (folds, seeds) no three are as good as all. Then adds votes one at a time
    (ensemble selection with replacement, Caruana 2004), then component weights. A step is taken
    only where the mean on ``rows`` rises, so the plainest of equal configurations is kept; the
    best column is left only for a gain above one standard error (the one-standard-error rule,
    Breiman 1984).

    Args:
        dev: scores on dev.
        rows: the rows to learn from, and no others.
        systems: which systems may be chosen (default: all).
        max_members: size of the largest set that is searched.
        single: the column that stands until something is better (default: the best on ``rows``).
    """
    allowed = dev.pool.systems if systems is None else tuple(systems)
    single = single or best_column(dev, rows, allowed)
    chosen = _best(dev, rows, [single, *_sets(dev.pool, allowed, max_members)])
    if chosen.column is not None:
        return single
    for _ in range(EXTRA_VOTES):
        chosen = _best(dev, rows, [chosen, *_one_more_vote(chosen)])
    chosen = _best(dev, rows, [chosen, *_reweighted(chosen)])
    return chosen if _above_one_error(dev, rows, chosen, single) else single


def _above_one_error(
    dev: DevScores, rows: "Rows", config: EnsembleConfig, single: EnsembleConfig
) -> bool:
    gains = dev.scores(config)[rows] - dev.scores(single)[rows]
    error = float(gains.std(ddof=1) / np.sqrt(len(gains)))
    mean = float(gains.mean())
    return mean > error


def _sets(pool: CandidatePool, systems: Sequence[str], limit: int) -> Iterable[EnsembleConfig]:
    """Yield sets with at least three columns; two candidates always tie, so the first wins."""
    for size in (*range(1, limit + 1), len(systems)):
        for chosen in combinations(systems, size):
            if sum(len(pool.columns_of(system)) for system in chosen) > 2:
                yield EnsembleConfig(method="mbr", votes=dict.fromkeys(chosen, 1.0))


def _one_more_vote(config: EnsembleConfig) -> Iterable[EnsembleConfig]:
    for system in config.votes:
        votes = config.votes | {system: config.votes[system] + 1}
        yield EnsembleConfig(method="mbr", votes=votes, components=config.components)


def _reweighted(config: EnsembleConfig) -> Iterable[EnsembleConfig]:
    for components in COMPONENTS:
        yield EnsembleConfig(method="mbr", votes=config.votes, components=components)


def _best(dev: DevScores, rows: "Rows", configs: Iterable[EnsembleConfig]) -> EnsembleConfig:
    """Return the first configuration within rounding of the highest mean on ``rows``."""
    first, *others = ((config, float(dev.scores(config)[rows].mean())) for config in configs)
    kept, height = first
    for config, mean in others:
        if mean > height + _TOLERANCE:
            kept, height = config, mean
    return kept
