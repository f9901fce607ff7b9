"""Whether another way to generate says what the trained one says, measured on the same rows."""

import time
from collections.abc import Sequence
from typing import NamedTuple

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.engine import Emit
from yoyak.engine.check_result import check_result
from yoyak.engine.inference.generate import DecodeJob, new_ids
from yoyak.engine.models.collate import collate
from yoyak.engine.models.loss import supervised_logits
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.events import BackendParityChecked, Warned

FORCED_TOKENS = 32
"""Of each answer, as far as logits are compared: 8 rows of Qwen's 151,936 are 156 MB."""


class Generation(NamedTuple):
    """What a system said to some rows, as ids, in how many seconds."""

    answers: list[list[int]]
    seconds: float


class LogitDistance(NamedTuple):
    """How far logits are from others, as shares of the others' standard deviation."""

    mean: float
    largest: float
    root_mean_square: float


def spread_over(rows: Sequence[EncodedRow], count: int) -> list[EncodedRow]:
    """At most ``count`` of the rows, evenly spaced."""
    return list(rows[:: max(1, len(rows) // count)][:count])


def generate_rows(work: DecodeJob, rows: Sequence[EncodedRow]) -> Generation:
    """What ``work`` says to the rows as one batch."""
    started = time.perf_counter()
    answers = new_ids(work, rows)
    return Generation(answers, time.perf_counter() - started)


def forced_logits(
    work: DecodeJob, rows: Sequence[EncodedRow], answers: Sequence[Sequence[int]]
) -> torch.Tensor:
    """Logits [n, vocabulary] on the CPU along the beginnings of given answers."""
    bundle = work.bundle
    found = []
    with torch.no_grad():
        for row, answer in zip(rows, answers, strict=True):
            told = row._replace(answer_ids=tuple(answer[:FORCED_TOKENS]))
            batch = collate([told], bundle.tokenizer, bundle.kind, bundle.device)
            found.append(supervised_logits(bundle.model, batch).float().cpu())
    return torch.cat(found)


def logit_distance(one: torch.Tensor, other: torch.Tensor) -> LogitDistance:
    """How far ``one`` is from ``other``."""
    spread = other.std().clamp_min(1e-12)
    difference = (one - other).abs() / spread
    return LogitDistance(
        mean=float(difference.mean()),
        largest=float(difference.max()),
        root_mean_square=float(difference.square().mean().sqrt()),
    )


def equal_rows(one: Generation, other: Generation) -> int:
    """How many answers are the same, id for id."""
    return sum(a == b for a, b in zip(one.answers, other.answers, strict=True))


def emit_parity(emit: Emit, name: str, passed: bool, found: dict[str, object]) -> None:
    """Emits how a way to generate compared, and warns of one that will not be used.

    Args:
        emit: the job's.
        name: of the way; its title is ``engine.proof-parity-<name>``, and so on.
        passed: whether it will speak.
        found: the fields of ``engine.found-parity-<name>`` and of ``engine.<name>-differs``.
    """
    line = check_result(f"parity-{name}", passed, f"engine.found-parity-{name}", **found)
    emit(BackendParityChecked(at=time.time(), check=line))
    if not passed:
        emit_warning(emit, f"engine.{name}-differs", **found)


def emit_warning(emit: Emit, key: str, **fields: object) -> None:
    """Points something out to a person."""
    told = {name: str(value) for name, value in fields.items()}
    emit(Warned(at=time.time(), key=key, fields=told))
