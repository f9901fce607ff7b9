"""Minimum Bayes risk (MBR): choose the candidate with the highest expected ROUGE.

Where the metric averages over rows, as the contest's does, expected ROUGE is what to maximise
(Kumar and Byrne 2004); the other candidates serve as pseudo-references (Eikema and Aziz 2020).
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np  # noqa: TID253 -- this module is only imported where answers are combined

from yoyak.ensemble.candidates import CandidatePool
from yoyak.ensemble.methods import Components, EnsembleInputs
from yoyak.metrics.protocol import OFFICIAL, Definition
from yoyak.metrics.rouge import pairwise, score_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_DIGITS = 12
"""Utilities that agree to this many decimals are tied: the last bits of sums are no preference."""


def mbr(inputs: EnsembleInputs) -> list[int]:
    """Choose the candidate with the highest expected utility in each row, the first of those tied.

    Utility is the weighted mean of ROUGE against the other candidates, weighted by their votes.
    """
    table = inputs.table
    if table is None:
        table = similarity(inputs.pool, inputs.definition)
    weights = candidate_weights(inputs.pool, inputs.votes)
    values = expected_utility(utility(table, inputs.components), weights)
    return [int(column) for column in first_best(values, weights > 0)]


def vote(inputs: EnsembleInputs) -> list[int]:
    """Choose the medoid by R1 with one vote per system: MBR without learned weights."""
    equal = {name: 1.0 for name, weight in inputs.votes.items() if weight > 0}
    return mbr(inputs._replace(votes=equal, components=(1.0, 0.0, 0.0)))


def similarity(pool: CandidatePool, definition: Definition = OFFICIAL) -> "Floats":
    """Return F1 of all pairs of candidates: (rows, hypothesis, reference, 3), 3 = R1, R2, RL."""
    return np.stack(pairwise(pool.texts, definition))


def reference_scores(
    pool: CandidatePool, references: Sequence[tuple[str, ...]], definition: Definition = OFFICIAL
) -> "Floats":
    """Score candidates against the references: mean of R1, R2 and RL, (rows, candidates)."""
    scored = [
        score_rows([one.text for one in column.predictions], references, definition)[:, :, 2]
        for column in pool.columns
    ]
    means: Floats = np.stack(scored, axis=1).mean(axis=2)
    return means


def utility(table: "Floats", components: Components) -> "Floats":
    """Return the weighted mean of R1, R2 and RL: (rows, hypothesis, reference)."""
    weights = np.asarray(components) / sum(components)
    mean: Floats = table @ weights
    return mean


def candidate_weights(pool: CandidatePool, votes: Mapping[str, float]) -> "Floats":
    """Return votes per column: the votes of a system are shared equally among its decodings."""
    systems = [column.lineage.system for column in pool.columns]
    return np.array([votes.get(system, 0.0) / systems.count(system) for system in systems])


def expected_utility(pairs: "Floats", weights: "Floats") -> "Floats":
    """Return each candidate's expected utility with the others as pseudo-references.

    The weighted mean of ``pairs`` over all candidates but the first vote of the candidate itself,
    so that two votes for a text count as a second, agreeing candidate. With whole votes this is
    the plain mean over a list in which every candidate stands as often as it has votes, itself
    left out. Shape (rows, candidates).
    """
    own = np.minimum(weights, 1.0)
    total = pairs @ weights - np.einsum("rcc->rc", pairs) * own
    weight = weights.sum() - own
    mean: Floats = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
    return mean


def first_best(values: "Floats", eligible: "NDArray[np.bool_]") -> "NDArray[np.int64]":
    """Return the eligible column with the highest value in each row, the first of those tied."""
    ranked = np.where(eligible, np.round(values, _DIGITS), -np.inf)
    chosen: NDArray[np.int64] = np.argmax(ranked, axis=1)
    return chosen
