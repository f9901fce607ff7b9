"""Compare another way to generate with the trained model, on the same rows."""

import time
from collections.abc import Sequence
from typing import NamedTuple

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.engine import Emit
from yoyak.engine.check_result import check_result
from yoyak.engine.inference.generate import BatchDecoder, DecodeJob, decoded
from yoyak.engine.models.collate import collate
from yoyak.engine.models.loss import supervised_logits
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.events import BackendParityChecked, Warned

FORCED_TOKENS = 32
"""Tokens of each answer whose logits are compared: 8 rows of Qwen's 151,936 take 156 MB."""
COMPARED_ROWS = 20
MIN_EQUAL_SHARE = 0.95
"""Share of the compared rows that must get the same ids: all but one of twenty."""


class Generation(NamedTuple):
    """The new token ids of some rows, and the seconds they took."""

    answers: list[list[int]]
    seconds: float


class LogitDistance(NamedTuple):
    """Differences of logits, as shares of the reference's standard deviation."""

    mean: float
    largest: float
    root_mean_square: float


def evenly_spaced(rows: Sequence[EncodedRow], count: int) -> list[EncodedRow]:
    """Return at most ``count`` of the rows, evenly spaced."""
    return list(rows[:: max(1, len(rows) // count)][:count])


def generate_rows(job: DecodeJob, rows: Sequence[EncodedRow]) -> Generation:
    """Decode the rows as one batch and measure the time."""
    started = time.perf_counter()
    answers = decoded(job, rows)
    return Generation(answers, time.perf_counter() - started)


def teacher_forced_logits(
    job: DecodeJob, rows: Sequence[EncodedRow], answers: Sequence[Sequence[int]]
) -> torch.Tensor:
    """Return logits [n, vocabulary] on the CPU along the first tokens of given answers."""
    bundle = job.bundle
    logits = []
    with torch.no_grad():
        for row, answer in zip(rows, answers, strict=True):
            forced = row._replace(answer_ids=tuple(answer[:FORCED_TOKENS]))
            batch = collate([forced], bundle.tokenizer, bundle.kind, bundle.device)
            logits.append(supervised_logits(bundle.model, batch).float().cpu())
    return torch.cat(logits)


def logit_distance(logits: torch.Tensor, reference: torch.Tensor) -> LogitDistance:
    """Measure how far ``logits`` are from ``reference``, both [n, vocabulary]."""
    difference = (logits - reference).abs() / reference.std().clamp_min(1e-12)
    return LogitDistance(
        mean=float(difference.mean()),
        largest=float(difference.max()),
        root_mean_square=float(difference.square().mean().sqrt()),
    )


def equal_rows(one: Generation, other: Generation) -> int:
    """Count the answers that are the same, id for id."""
    return sum(a == b for a, b in zip(one.answers, other.answers, strict=True))


def checked_decoder(
    name: str, decoder: BatchDecoder, job: DecodeJob, rows: Sequence[EncodedRow], emit: Emit
) -> BatchDecoder | None:
    """Return the decoder of another library if it agrees with ours, else ``None``; emit which.

    Args:
        name: of the library, as in ``emit_parity``.
        decoder: the library's.
        job: the model and its decoding settings.
        rows: what will be predicted; some of them are compared.
        emit: gets the comparison, and a warning if the decoder will not be used.
    """
    compared = evenly_spaced(rows, COMPARED_ROWS)
    ours = generate_rows(job, compared)
    theirs = generate_rows(job._replace(decoder=decoder), compared)
    equal = equal_rows(theirs, ours)
    fields: dict[str, object] = {
        "rows": len(compared),
        "equal": equal,
        "rate": f"{MIN_EQUAL_SHARE:.0%}",
        "speed": f"{ours.seconds / theirs.seconds:.1f}",
    }
    passed = equal >= MIN_EQUAL_SHARE * len(compared)
    emit_parity(emit, name, passed, fields)
    return decoder if passed else None


def emit_parity(emit: Emit, name: str, passed: bool, fields: dict[str, object]) -> None:
    """Emit how a way to generate compared, and warn if it will not be used.

    Args:
        emit: the job's.
        name: of the way; its title is the message ``engine.proof-parity-<name>``.
        passed: whether it will be used.
        fields: of the messages ``engine.found-parity-<name>`` and ``engine.<name>-differs``.
    """
    line = check_result(f"parity-{name}", passed, f"engine.found-parity-{name}", **fields)
    emit(BackendParityChecked(at=time.time(), check=line))
    if not passed:
        emit_warning(emit, f"engine.{name}-differs", **fields)


def emit_warning(emit: Emit, key: str, **fields: object) -> None:
    """Emit a warning whose message is ``key``, filled with ``fields``."""
    texts = {name: str(value) for name, value in fields.items()}
    emit(Warned(at=time.time(), key=key, fields=texts))
