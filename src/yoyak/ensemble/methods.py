"""Ensemble methods: functions that choose one candidate per dialogue.

A method maps ``EnsembleInputs`` to a column index per dialogue, so it can neither invent nor lose
an id, nor write a text that no system wrote. ``METHODS`` lists them; a method from elsewhere is
named ``"module:function"``. Minimum Bayes risk is in ``yoyak.ensemble.mbr``.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from yoyak.ensemble.candidates import CandidatePool
from yoyak.errors import UsageError
from yoyak.metrics.protocol import OFFICIAL, Definition
from yoyak.values import Blend

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Components = tuple[float, float, float]
"""Weights of R1, R2 and RL."""

EQUAL: Components = (1.0, 1.0, 1.0)

METHODS = {
    "best": "yoyak.ensemble.methods:best",
    "mbr": "yoyak.ensemble.mbr:mbr",
    "vote": "yoyak.ensemble.mbr:vote",
    "longest": "yoyak.ensemble.methods:longest",
    "random": "yoyak.ensemble.methods:random",
}
"""All built-in methods; ``longest`` and ``random`` are controls that a useful method must beat."""


class EnsembleInputs(NamedTuple):
    """Inputs of an ensemble method.

    Attributes:
        pool: the candidates, best system first.
        votes: weight of each system; a system that is not named has none and is never chosen.
        components: weights of R1, R2 and RL.
        definition: which ROUGE.
        table: F1 of all candidate pairs (``mbr.similarity``), where the caller has it already.
        seed: of the random control.
    """

    pool: CandidatePool
    votes: Mapping[str, float]
    components: Components = EQUAL
    definition: Definition = OFFICIAL
    table: "NDArray[np.float64] | None" = None
    seed: int = 42


def ensemble_inputs(pool: CandidatePool, **fields: object) -> EnsembleInputs:
    """Build inputs with one vote per system; ``fields`` replace any of them."""
    return EnsembleInputs(pool, dict.fromkeys(pool.systems, 1.0))._replace(**fields)  # type: ignore[arg-type]


def run_method(method: str, inputs: EnsembleInputs) -> Blend:
    """Answer every dialogue of the pool with ``method``.

    Raises:
        UsageError: there is no such method, or the votes name a system that the pool lacks.
    """
    unknown = sorted(inputs.votes.keys() - set(inputs.pool.systems))
    if unknown or not any(weight > 0 for weight in inputs.votes.values()):
        known = ", ".join(inputs.pool.systems)
        raise UsageError("submission.unknown-member", members=", ".join(unknown), known=known)
    chosen = load_method(method)(inputs)
    columns = inputs.pool.columns
    return Blend(
        method=method,
        members=tuple(name for name in inputs.pool.systems if inputs.votes.get(name, 0) > 0),
        predictions=tuple(columns[column].predictions[row] for row, column in enumerate(chosen)),
    )


def load_method(method: str) -> Callable[[EnsembleInputs], Sequence[int]]:
    """Return the method of this name in ``METHODS``, or the one at ``"module:function"``.

    Raises:
        UsageError: there is no such method.
    """
    module, _, name = METHODS.get(method, method).partition(":")
    try:
        found: Callable[[EnsembleInputs], Sequence[int]] = getattr(import_module(module), name)
    except (ModuleNotFoundError, AttributeError, ValueError) as error:
        if method in METHODS:
            raise
        raise UsageError(
            "submission.unknown-blend", method=method, known=", ".join(METHODS)
        ) from error
    return found


# --- single systems and controls -----------------------------------------------------------------


def best(inputs: EnsembleInputs) -> list[int]:
    """Choose the first column of the system with the most votes, the first of those tied."""
    members = _member_columns(inputs)
    votes = [inputs.votes[inputs.pool.columns[column].lineage.system] for column in members]
    return [members[votes.index(max(votes))]] * len(inputs.pool.ids)


def longest(inputs: EnsembleInputs) -> list[int]:
    """Choose the longest text (a control; some contests call it "soft voting")."""
    members = _member_columns(inputs)
    return [max(members, key=lambda column: len(row[column])) for row in inputs.pool.texts]


def random(inputs: EnsembleInputs) -> list[int]:
    """Choose any candidate (a control); the choice depends on seed and id only."""
    members = _member_columns(inputs)
    return [members[_hash(f"{inputs.seed}:{name}") % len(members)] for name in inputs.pool.ids]


def _member_columns(inputs: EnsembleInputs) -> list[int]:
    return [
        index
        for index, column in enumerate(inputs.pool.columns)
        if inputs.votes.get(column.lineage.system, 0) > 0
    ]


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
