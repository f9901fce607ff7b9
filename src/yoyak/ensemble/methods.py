"""One answer per dialogue out of many: consensus, single systems and honest controls.

A blend is a function from a ballot to the column chosen for every dialogue, so that it can
neither invent nor lose an id, nor write a word that no system wrote. ``BLENDS`` is the table; a
blend from elsewhere is named ``"module:function"``.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

import numpy as np  # noqa: TID253 -- this module is only imported where answers are blended

from yoyak.ensemble.candidate_pool import CandidatePool
from yoyak.errors import UsageError
from yoyak.metrics.pairwise import pairwise
from yoyak.metrics.protocol import OFFICIAL, Definition
from yoyak.metrics.rouge import score_rows
from yoyak.values import Blend

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Components = tuple[float, float, float]
"""Weights of R1, R2 and RL."""

EQUAL: Components = (1.0, 1.0, 1.0)
_DIGITS = 12
"""Utilities that agree to this many decimals are tied: the sums' last bits are no preference."""

BLENDS = {
    "best": "yoyak.ensemble.methods:best",
    "mbr": "yoyak.ensemble.methods:mbr",
    "vote": "yoyak.ensemble.methods:vote",
    "longest": "yoyak.ensemble.methods:longest",
    "random": "yoyak.ensemble.methods:random",
}
"""Every way to answer; ``longest`` and ``random`` are controls that a good blend must beat."""


class EnsembleInputs(NamedTuple):
    """What a blend may look at.

    Attributes:
        pool: the candidates, best system first.
        votes: how many votes each system has; one that is not named has none and is not chosen.
        components: weights of R1, R2 and RL.
        definition: whose ROUGE.
        table: F1 of all pairs (``similarity``), where the caller has it already.
        seed: of the random control.
    """

    pool: CandidatePool
    votes: Mapping[str, float]
    components: Components = EQUAL
    definition: Definition = OFFICIAL
    table: "Floats | None" = None
    seed: int = 42


def ensemble_inputs(pool: CandidatePool, **fields: object) -> EnsembleInputs:
    """A ballot on which every system has one vote."""
    return EnsembleInputs(pool, dict.fromkeys(pool.systems, 1.0))._replace(**fields)  # type: ignore[arg-type]


def run_method(method: str, cast: EnsembleInputs) -> Blend:
    """The answer of ``method`` to every dialogue of the pool.

    Raises:
        UsageError: there is no such blend, or the votes name a system that the pool lacks.
    """
    unknown = sorted(cast.votes.keys() - set(cast.pool.systems))
    if unknown or not any(vote > 0 for vote in cast.votes.values()):
        known = ", ".join(cast.pool.systems)
        raise UsageError("submission.unknown-member", members=", ".join(unknown), known=known)
    chosen = load(method)(cast)
    columns = cast.pool.columns
    return Blend(
        method=method,
        members=tuple(name for name in cast.pool.systems if cast.votes.get(name, 0) > 0),
        predictions=tuple(columns[at].predictions[row] for row, at in enumerate(chosen)),
    )


def load(method: str) -> Callable[[EnsembleInputs], Sequence[int]]:
    """The blend called ``method`` in the table, or at ``"module:function"``.

    Raises:
        UsageError: there is no such blend.
    """
    module, _, name = BLENDS.get(method, method).partition(":")
    try:
        found: Callable[[EnsembleInputs], Sequence[int]] = getattr(import_module(module), name)
    except (ModuleNotFoundError, AttributeError, ValueError) as error:
        if method in BLENDS:
            raise
        raise UsageError(
            "submission.unknown-blend", method=method, known=", ".join(BLENDS)
        ) from error
    return found


# --- consensus -----------------------------------------------------------------------------------


def similarity(pool: CandidatePool, definition: Definition = OFFICIAL) -> "Floats":
    """F1 of all pairs of candidates: (rows, hypothesis, reference, 3), 3 = R1, R2, RL."""
    return np.stack(pairwise(pool.texts, definition))


def gains(
    pool: CandidatePool, references: Sequence[tuple[str, ...]], definition: Definition = OFFICIAL
) -> "Floats":
    """Each candidate's mean of R1, R2 and RL against the references: (rows, candidates)."""
    scored = [
        score_rows([one.text for one in column.predictions], references, definition)[:, :, 2]
        for column in pool.columns
    ]
    means: Floats = np.stack(scored, axis=1).mean(axis=2)
    return means


def utility(table: "Floats", components: Components) -> "Floats":
    """The weighted mean of R1, R2 and RL: (rows, hypothesis, reference)."""
    weights = np.asarray(components) / sum(components)
    mean: Floats = table @ weights
    return mean


def candidate_weights(pool: CandidatePool, votes: Mapping[str, float]) -> "Floats":
    """Votes per column: a system's votes are shared out equally among its decodes."""
    systems = [column.lineage.system for column in pool.columns]
    return np.array([votes.get(system, 0.0) / systems.count(system) for system in systems])


def expected(pairs: "Floats", votes: "Floats") -> "Floats":
    """Expected score of each candidate if the others' voters are right: (rows, candidates).

    The weighted mean of ``pairs`` over all voters but the candidate's own first vote, so that two
    votes for a text count as a second, agreeing candidate. With whole votes this is the plain mean
    over a list in which every candidate stands as often as it has votes, itself left out.
    """
    own = np.minimum(votes, 1.0)
    total = pairs @ votes - np.einsum("rcc->rc", pairs) * own
    weight = votes.sum() - own
    mean: Floats = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
    return mean


def first_best(values: "Floats", eligible: "NDArray[np.bool_]") -> "NDArray[np.int64]":
    """The column with the highest value in each row, the first of those tied."""
    ranked = np.where(eligible, np.round(values, _DIGITS), -np.inf)
    chosen: NDArray[np.int64] = np.argmax(ranked, axis=1)
    return chosen


def mbr(cast: EnsembleInputs) -> list[int]:
    """The candidate with the highest expected ROUGE (minimum Bayes risk).

    Where references are averaged, as the contest does, the expected score is what is to be
    maximised (Kumar and Byrne 2004; candidates as references: Eikema and Aziz 2020).
    """
    table = similarity(cast.pool, cast.definition) if cast.table is None else cast.table
    votes = candidate_weights(cast.pool, cast.votes)
    chosen = first_best(expected(utility(table, cast.components), votes), votes > 0)
    return [int(at) for at in chosen]


def vote(cast: EnsembleInputs) -> list[int]:
    """The medoid by shared words (R1), one vote each: consensus with nothing learned."""
    equal = {name: 1.0 for name, votes in cast.votes.items() if votes > 0}
    return mbr(cast._replace(votes=equal, components=(1.0, 0.0, 0.0)))


# --- single systems and controls -----------------------------------------------------------------


def _members(cast: EnsembleInputs) -> list[int]:
    return [
        at
        for at, column in enumerate(cast.pool.columns)
        if cast.votes.get(column.lineage.system, 0) > 0
    ]


def best(cast: EnsembleInputs) -> list[int]:
    """The first column of the system with the most votes, the first of those tied."""
    members = _members(cast)
    votes = [cast.votes[cast.pool.columns[at].lineage.system] for at in members]
    return [members[votes.index(max(votes))]] * len(cast.pool.ids)


def longest(cast: EnsembleInputs) -> list[int]:
    """The longest text: the field's "soft voting" of one contest, kept as a control."""
    members = _members(cast)
    return [max(members, key=lambda at: len(texts[at])) for texts in cast.pool.texts]


def random(cast: EnsembleInputs) -> list[int]:
    """Any candidate; which one depends on seed and id only, not on the other rows."""
    members = _members(cast)
    return [members[_draw(f"{cast.seed}:{name}") % len(members)] for name in cast.pool.ids]


def _draw(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
