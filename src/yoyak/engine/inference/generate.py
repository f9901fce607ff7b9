"""Generate predictions: length-sorted batches under a token budget, one at a time.

Greedy decoding and sampling run in ``decode_loop``, beam search in transformers (``beam_search``).
A batch that runs out of memory is halved and tried again.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import BeamSearch, Decode
from yoyak.data.clean import summary_of
from yoyak.engine.inference.beam_search import beam_search
from yoyak.engine.inference.decode_loop import generate_tokens
from yoyak.engine.models.model import positions_needed
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.errors import RunFailed
from yoyak.values import Prediction, StopReason

if TYPE_CHECKING:
    from yoyak.engine.models.model import ModelBundle
    from yoyak.engine.tokenization.tokenizer import ModelTokenizer

BUDGET_TOKENS = 16_384
"""Rows × (source + new) tokens of one batch: about 2 GB of KV cache for an 8B Llama."""

MAX_ROWS = 128

ProgressCallback = Callable[[int, int], None]
RowCap = Callable[[EncodedRow], int]
"""Gives the most new tokens of one row, EOS included."""


class DecodeJob(NamedTuple):
    """What stays the same from batch to batch."""

    bundle: "ModelBundle"
    decode: Decode
    max_new_tokens: int
    blocked: tuple[int, ...]
    decoder: "BatchDecoder | None" = None


BatchDecoder = Callable[[DecodeJob, Sequence[EncodedRow]], list[list[int]]]
"""Gives the new token ids of each row of a batch, including EOS."""


def generate(  # noqa: PLR0913 -- each keyword is an independent choice
    bundle: "ModelBundle",
    rows: Sequence[EncodedRow],
    decode: Decode,
    *,
    max_new_tokens: int,
    row_cap: RowCap | None = None,
    blocked: Sequence[int] = (),
    budget_tokens: int = BUDGET_TOKENS,
    decoder: "BatchDecoder | None" = None,
    on_progress: ProgressCallback | None = None,
) -> Iterator[Prediction]:
    """Yield one prediction a row, longest sources first.

    A prediction's ``tokens`` include EOS; its ``seconds`` are the batch's divided by its rows. The
    model's weights, its training mode and the global random state are left as they are.

    Args:
        bundle: model and tokenizer.
        rows: what to summarise; their answers are not used.
        decode: greedy, beam or sample; its ``max_new_tokens`` overrides the argument.
        max_new_tokens: the limit where ``decode`` has none, as from ``default_max_new_tokens``.
        row_cap: a lower limit for single rows; rows of one limit are batched together.
        blocked: token ids that are never generated, as from ``blocked_token_ids``.
        budget_tokens: of a batch, rows × (longest source + new tokens).
        decoder: decodes batches instead of the built-in loops.
        on_progress: called with (rows done, rows in all) after each batch.

    Raises:
        RunFailed: a row exceeds the model's positions, or one row alone does not fit in memory.
    """
    cap = decode.max_new_tokens or max_new_tokens
    _refuse_beyond_positions(bundle, rows, cap)
    done = 0
    budget = budget_tokens // (decode.num_beams if isinstance(decode, BeamSearch) else 1)
    for lower, group in _group_by_cap(rows, cap, row_cap):
        job = DecodeJob(bundle, decode, lower, tuple(blocked), decoder)
        for batch in make_batches(group, lower, budget):
            yield from _predict_batch(job, batch)
            done += len(batch)
            if on_progress is not None:
                on_progress(done, len(rows))


def _group_by_cap(
    rows: Sequence[EncodedRow], cap: int, row_cap: RowCap | None
) -> list[tuple[int, list[EncodedRow]]]:
    """Group rows by their limit of new tokens, the highest limit first."""
    groups: dict[int, list[EncodedRow]] = {}
    for row in rows:
        own = cap if row_cap is None else min(cap, row_cap(row))
        groups.setdefault(own, []).append(row)
    return sorted(groups.items(), reverse=True)


def make_batches(
    rows: Sequence[EncodedRow], new_tokens: int, budget_tokens: int = BUDGET_TOKENS
) -> list[list[EncodedRow]]:
    """Sort rows by descending source length (ties keep order) and cut them within the budget."""
    batches: list[list[EncodedRow]] = []
    for row in sorted(rows, key=lambda row: -len(row.source_ids)):
        longest = len(batches[-1][0].source_ids) if batches else 0
        tokens = (len(batches[-1]) + 1) * (longest + new_tokens) if batches else 0
        if not batches or tokens > budget_tokens or len(batches[-1]) >= MAX_ROWS:
            batches.append([])
        batches[-1].append(row)
    return batches


def _predict_batch(job: DecodeJob, batch: Sequence[EncodedRow]) -> Iterator[Prediction]:
    started = time.perf_counter()
    answers = decode_batch(job, batch)
    seconds = (time.perf_counter() - started) / len(batch)
    for row, ids in zip(batch, answers, strict=True):
        yield _prediction(job.bundle.tokenizer, row.id, ids, seconds)


def decode_batch(job: DecodeJob, batch: Sequence[EncodedRow]) -> list[list[int]]:
    """Return the new token ids of each row, including EOS; halve the batch when out of memory.

    Raises:
        RunFailed: one row alone does not fit.
    """
    model = job.bundle.model
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            return _decode(job, batch)
    except torch.OutOfMemoryError as error:
        if len(batch) == 1:
            raise RunFailed("engine.row-too-big", id=batch[0].id) from error
    finally:
        model.train(training)
    torch.cuda.empty_cache()
    half = len(batch) // 2
    return [*decode_batch(job, batch[:half]), *decode_batch(job, batch[half:])]


def _decode(job: DecodeJob, batch: Sequence[EncodedRow]) -> list[list[int]]:
    if job.decoder is not None:
        return job.decoder(job, batch)
    if isinstance(job.decode, BeamSearch):
        return beam_search(job.bundle, batch, job.decode, job.max_new_tokens, job.blocked)
    return generate_tokens(job.bundle, batch, job.decode, job.max_new_tokens, job.blocked)


def _prediction(
    tokenizer: "ModelTokenizer", id_: str, ids: list[int], seconds: float
) -> Prediction:
    raw = tokenizer.decode(ids)
    stopped = bool(ids) and ids[-1] in tokenizer.stop_ids
    return Prediction(
        id=id_,
        text=summary_of(raw, tags_are_tokens=tokenizer.tags_are_tokens),
        raw=raw,
        tokens=len(ids),
        stop=StopReason.STOP_TOKEN if stopped else StopReason.LENGTH,
        seconds=seconds,
    )


def _refuse_beyond_positions(
    bundle: "ModelBundle", rows: Sequence[EncodedRow], new_tokens: int
) -> None:
    positions: int | None = getattr(bundle.model.config, "max_position_embeddings", None)
    for row in rows:
        needed = positions_needed(bundle.kind, len(row.source_ids), new_tokens)
        if positions is not None and needed > positions:
            raise RunFailed(
                "engine.beyond-positions", id=row.id, needed=needed, positions=positions
            )
