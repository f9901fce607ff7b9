"""Generate predictions: length-sorted batches as large as memory allows, one at a time.

Greedy decoding and sampling run in ``decode_loop``, beam search in ``beam_search``. Rows are
yielded as they finish, so that an interrupted batch keeps them. What is left of a batch that runs
out of memory is halved and tried again.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import BeamSearch, Decode
from yoyak.data.clean import summary_of
from yoyak.engine.inference.batch_memory import UNLIMITED, batch_memory, make_batches
from yoyak.engine.inference.beam_search import beam_search
from yoyak.engine.inference.decode_loop import Finished, generate_tokens
from yoyak.engine.models.model import position_limit, positions_needed
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.errors import RunFailed
from yoyak.values import Prediction, StopReason

if TYPE_CHECKING:
    from yoyak.engine.models.model import ModelBundle
    from yoyak.engine.tokenization.tokenizer import ModelTokenizer

ProgressCallback = Callable[[int, int], None]
RowCap = Callable[[EncodedRow], int]
"""Gives the most new tokens of one row, EOS included."""


OnText = Callable[[str, str], None]
"""Gets a row's id and its summary as far as it is written."""


class DecodeJob(NamedTuple):
    """What stays the same from batch to batch."""

    bundle: "ModelBundle"
    decode: Decode
    max_new_tokens: int
    blocked: tuple[int, ...]
    decoder: "BatchDecoder | None" = None
    on_text: OnText | None = None


BatchDecoder = Callable[[DecodeJob, Sequence[EncodedRow]], list[list[int]]]
"""Gives the new token ids of each row of a batch, including EOS.

If its attribute ``schedules_rows`` is true, no batch is cut because of the memory that is free.
"""


def generate(  # noqa: PLR0913 -- each keyword is an independent choice
    bundle: "ModelBundle",
    rows: Sequence[EncodedRow],
    decode: Decode,
    *,
    max_new_tokens: int,
    row_cap: RowCap | None = None,
    blocked: Sequence[int] = (),
    decoder: "BatchDecoder | None" = None,
    on_progress: ProgressCallback | None = None,
    on_text: OnText | None = None,
) -> Iterator[Prediction]:
    """Yield one prediction a row, longest sources first.

    A prediction's ``tokens`` include EOS; its ``seconds`` are those since the rows before it were
    done, divided by the rows that were done with it. The model's weights, its training mode and the
    global random state are left as they are.

    Args:
        bundle: model and tokenizer.
        rows: what to summarise; their answers are not used.
        decode: greedy, beam or sample; its ``max_new_tokens`` overrides the argument.
        max_new_tokens: the limit where ``decode`` has none, as from ``default_max_new_tokens``.
        row_cap: a lower limit for single rows; rows of one limit are batched together.
        blocked: token ids that are never generated, as from ``blocked_token_ids``.
        decoder: decodes batches instead of the built-in loops.
        on_progress: called with (rows done, rows in all) whenever rows were done.
        on_text: called while rows are written; not in beam search, whose texts change to the end.

    Raises:
        RunFailed: a row exceeds the model's positions, or one row alone does not fit in memory.
    """
    cap = decode.max_new_tokens or max_new_tokens
    job = DecodeJob(bundle, decode, cap, tuple(blocked), decoder, on_text)
    done = 0
    started = time.perf_counter()
    for finished in generate_ids(job, rows, row_cap):
        seconds = (time.perf_counter() - started) / len(finished)
        for row, ids in finished:
            yield prediction_of(bundle.tokenizer, row.id, ids, seconds)
        done += len(finished)
        if on_progress is not None:
            on_progress(done, len(rows))
        started = time.perf_counter()


def generate_ids(
    job: DecodeJob, rows: Sequence[EncodedRow], row_cap: RowCap | None = None
) -> Iterator[list[tuple[EncodedRow, list[int]]]]:
    """Yield the rows as they finish, with their new token ids, EOS included.

    As ``generate``, with ``job.max_new_tokens`` as the limit.

    Raises:
        RunFailed: as ``generate``.
    """
    bundle, cap = job.bundle, job.max_new_tokens
    _refuse_beyond_positions(bundle, rows, cap)
    schedules_rows = getattr(job.decoder, "schedules_rows", False)
    memory = UNLIMITED if schedules_rows else batch_memory(bundle, job.decode)
    for lower, group in _group_by_cap(rows, cap, row_cap):
        for batch in make_batches(group, lower, memory):
            for finished in decode_batch(job._replace(max_new_tokens=lower), batch):
                yield [(batch[index], ids) for index, ids in finished]


def _group_by_cap(
    rows: Sequence[EncodedRow], cap: int, row_cap: RowCap | None
) -> list[tuple[int, list[EncodedRow]]]:
    """Group rows by their limit of new tokens, the highest limit first."""
    groups: dict[int, list[EncodedRow]] = {}
    for row in rows:
        own = cap if row_cap is None else min(cap, row_cap(row))
        groups.setdefault(own, []).append(row)
    return sorted(groups.items(), reverse=True)


def decode_batch(job: DecodeJob, batch: Sequence[EncodedRow]) -> Iterator[Finished]:
    """Yield the rows of a batch as they finish; halve what is left of it when out of memory.

    Raises:
        RunFailed: one row alone does not fit.
    """
    decoding = _decode(job, batch)
    left = set(range(len(batch)))
    try:
        while left:
            with _decoding(job.bundle.model), torch.no_grad():
                finished = next(decoding)
            left -= {index for index, _ in finished}
            yield finished
    except torch.OutOfMemoryError as error:
        if len(left) == 1:
            raise RunFailed("engine.row-too-big", id=batch[left.pop()].id) from error
    del decoding  # with it, its cache
    if not left:
        return
    torch.cuda.empty_cache()
    indices = sorted(left)
    half = len(indices) // 2
    for part in (indices[:half], indices[half:]):
        for finished in decode_batch(job, [batch[index] for index in part]):
            yield [(part[index], ids) for index, ids in finished]


def decoded(job: DecodeJob, batch: Sequence[EncodedRow]) -> list[list[int]]:
    """Return the new token ids of each row of a batch, including EOS.

    Raises:
        RunFailed: as ``decode_batch``.
    """
    answers = {index: ids for part in decode_batch(job, batch) for index, ids in part}
    return [answers[index] for index in range(len(batch))]


@contextmanager
def _decoding(model: torch.nn.Module) -> Iterator[None]:
    """Use evaluation mode, and attention other than cuDNN's, inside the block.

    On a Hopper GPU cuDNN's attention is the default. It makes a plan for each shape, and each new
    token has another one: a token took 1.4 times as long (docs/engine.md).
    """
    cuda: Any = torch.backends.cuda
    training, cudnn_attention = model.training, cuda.cudnn_sdp_enabled()
    model.eval()
    cuda.enable_cudnn_sdp(False)
    try:
        yield
    finally:
        model.train(training)
        cuda.enable_cudnn_sdp(cudnn_attention)


def _decode(job: DecodeJob, batch: Sequence[EncodedRow]) -> Iterator[Finished]:
    if job.decoder is not None:
        return iter([list(enumerate(job.decoder(job, batch)))])
    if isinstance(job.decode, BeamSearch):
        return beam_search(job.bundle, batch, job.decode, job.max_new_tokens, job.blocked)
    tokenizer = job.bundle.tokenizer

    def on_read(row: int, ids: list[int]) -> None:
        if job.on_text is not None:
            job.on_text(batch[row].id, _summary(tokenizer, tokenizer.decode(ids)))

    return generate_tokens(job.bundle, batch, job.decode, job.max_new_tokens, job.blocked, on_read)


def _summary(tokenizer: "ModelTokenizer", raw: str) -> str:
    return summary_of(raw, tags_are_tokens=tokenizer.tags_are_tokens)


def prediction_of(
    tokenizer: "ModelTokenizer", id_: str, ids: list[int], seconds: float
) -> Prediction:
    """Return the prediction of a row from its new token ids."""
    raw = tokenizer.decode(ids)
    stopped = bool(ids) and ids[-1] in tokenizer.stop_ids
    return Prediction(
        id=id_,
        text=_summary(tokenizer, raw),
        raw=raw,
        tokens=len(ids),
        stop=StopReason.STOP_TOKEN if stopped else StopReason.LENGTH,
        seconds=seconds,
    )


def _refuse_beyond_positions(
    bundle: "ModelBundle", rows: Sequence[EncodedRow], new_tokens: int
) -> None:
    positions = position_limit(bundle.model)
    for row in rows:
        needed = positions_needed(bundle.kind, len(row.source_ids), new_tokens)
        if positions is not None and needed > positions:
            raise RunFailed(
                "engine.beyond-positions", id=row.id, needed=needed, positions=positions
            )
