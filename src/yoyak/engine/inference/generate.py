"""Generation: length-sorted batches under a token budget, each row as soon as its batch is done.

Greedy decoding and sampling have a loop of their own (``stepper``), in which finished rows leave
the batch; beams are searched by transformers (``beam``). Sampling is a pure function of the seed
and the dialogue's id, so that a run that goes on by id says what an uninterrupted one had said.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import BeamSearch, Decode
from yoyak.data.clean import summary_of
from yoyak.engine.inference.beam_search import search
from yoyak.engine.inference.greedy_and_sampling import generate_tokens
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.errors import RunFailed
from yoyak.values import Prediction, StopReason

if TYPE_CHECKING:
    from yoyak.engine.models.model import ModelBundle
    from yoyak.engine.tokenization.tokenizer import ModelTokenizer

BUDGET_TOKENS = 16_384
"""Rows × (source + new) tokens of one batch: about 2 GB of keys and values for an 8B Llama."""

MAX_ROWS = 128

ProgressCallback = Callable[[int, int], None]
RowCap = Callable[[EncodedRow], int]
"""The most new tokens of one row, its stop included."""


def generate(  # noqa: PLR0913 -- each keyword stands for a decision of its own
    bundle: "ModelBundle",
    rows: Sequence[EncodedRow],
    decode: Decode,
    *,
    max_new_tokens: int,
    row_cap: RowCap | None = None,
    blocked: Sequence[int] = (),
    budget_tokens: int = BUDGET_TOKENS,
    decoder: "Decoder | None" = None,
    on_progress: ProgressCallback | None = None,
) -> Iterator[Prediction]:
    """One prediction a row, longest sources first; weights, mode and random state stay as found.

    ``tokens`` counts the stop; ``seconds`` is the batch's time divided by its rows.

    Args:
        bundle: model and codec.
        rows: what to answer; answers in them are not looked at.
        decode: greedy, beam or sample; its own ``max_new_tokens`` goes before the argument.
        max_new_tokens: the cap where ``decode`` names none, as from ``answer_cap``.
        row_cap: a row's own cap, where that is lower; rows of one cap are answered together.
        blocked: ids that are never written, as from ``foreign.foreign_ids``.
        budget_tokens: of a batch, rows × (longest source + new tokens).
        decoder: who decodes a batch instead of our own loops.
        on_progress: told (rows done, rows in all) after each batch.

    Raises:
        RunFailed: a row is longer than the model's positions, or one row alone does not fit.
    """
    cap = decode.max_new_tokens or max_new_tokens
    _refuse_beyond_positions(bundle, rows, cap)
    done = 0
    budget = budget_tokens // (decode.num_beams if isinstance(decode, BeamSearch) else 1)
    for lower, alike in _by_cap(rows, cap, row_cap):
        work = DecodeJob(bundle, decode, lower, tuple(blocked), decoder)
        for batch in batches(alike, lower, budget):
            yield from _predictions(work, batch)
            done += len(batch)
            if on_progress is not None:
                on_progress(done, len(rows))


def _by_cap(
    rows: Sequence[EncodedRow], cap: int, row_cap: RowCap | None
) -> list[tuple[int, list[EncodedRow]]]:
    """The rows that may say equally much, most first."""
    groups: dict[int, list[EncodedRow]] = {}
    for row in rows:
        own = cap if row_cap is None else min(cap, row_cap(row))
        groups.setdefault(own, []).append(row)
    return sorted(groups.items(), reverse=True)


class DecodeJob(NamedTuple):
    """What stays the same from batch to batch."""

    bundle: "ModelBundle"
    decode: Decode
    max_new_tokens: int
    blocked: tuple[int, ...]
    decoder: "Decoder | None" = None


Decoder = Callable[[DecodeJob, Sequence[EncodedRow]], list[list[int]]]
"""The new ids of each row of a batch, to and with its stop."""


def batches(
    rows: Sequence[EncodedRow], new_tokens: int, budget_tokens: int = BUDGET_TOKENS
) -> list[list[EncodedRow]]:
    """The rows by falling source length, cut into batches within the budget; ties keep order."""
    cut: list[list[EncodedRow]] = []
    for row in sorted(rows, key=lambda row: -len(row.source_ids)):
        longest = len(cut[-1][0].source_ids) if cut else 0
        tokens = (len(cut[-1]) + 1) * (longest + new_tokens) if cut else 0
        if not cut or tokens > budget_tokens or len(cut[-1]) >= MAX_ROWS:
            cut.append([])
        cut[-1].append(row)
    return cut


def _predictions(work: DecodeJob, batch: Sequence[EncodedRow]) -> Iterator[Prediction]:
    started = time.perf_counter()
    answers = new_ids(work, batch)
    seconds = (time.perf_counter() - started) / len(batch)
    for row, ids in zip(batch, answers, strict=True):
        yield _prediction(work.bundle.tokenizer, row.id, ids, seconds)


def new_ids(work: DecodeJob, batch: Sequence[EncodedRow]) -> list[list[int]]:
    """The new ids of each row, to and with its stop; too big a batch is halved and tried again."""
    model = work.bundle.model
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            return _decoded(work, batch)
    except torch.OutOfMemoryError as error:
        if len(batch) == 1:
            raise RunFailed("engine.row-too-big", id=batch[0].id) from error
    finally:
        model.train(training)
    torch.cuda.empty_cache()
    half = len(batch) // 2
    return [*new_ids(work, batch[:half]), *new_ids(work, batch[half:])]


def _decoded(work: DecodeJob, batch: Sequence[EncodedRow]) -> list[list[int]]:
    if work.decoder is not None:
        return work.decoder(work, batch)
    if isinstance(work.decode, BeamSearch):
        return search(work.bundle, batch, work.decode, work.max_new_tokens, work.blocked)
    return generate_tokens(work.bundle, batch, work.decode, work.max_new_tokens, work.blocked)


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


def positions_needed(bundle: "ModelBundle", row: EncodedRow, new_tokens: int) -> int:
    """The positions a row takes in the model: side by side for encoder and decoder, else in all."""
    source = len(row.source_ids)
    return max(source, new_tokens) if bundle.kind == "seq2seq" else source + new_tokens


def _refuse_beyond_positions(
    bundle: "ModelBundle", rows: Sequence[EncodedRow], new_tokens: int
) -> None:
    positions: int | None = getattr(bundle.model.config, "max_position_embeddings", None)
    for row in rows:
        needed = positions_needed(bundle, row, new_tokens)
        if positions is not None and needed > positions:
            raise RunFailed(
                "engine.beyond-positions", id=row.id, needed=needed, positions=positions
            )
