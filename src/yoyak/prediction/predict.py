"""Summarise a file part by part: read, generate, check, write a shard."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from yoyak.data.dialogue_stream import DialoguePart, read_parts
from yoyak.data.row_stream import RowStream, open_rows
from yoyak.engine import Emit, GenerateJob
from yoyak.errors import Interrupted, RunFailed
from yoyak.metrics.diagnostics.error_types import ErrorType, SummaryItem, rows_with
from yoyak.metrics.diagnostics.statistics import COUNTED
from yoyak.prediction.model import BatchModel, Generate
from yoyak.prediction.output import (
    BatchJob,
    BatchOutput,
    BatchResult,
    OutputFormat,
    ShardRecord,
    ShardTotals,
    SummaryRow,
    open_output,
)
from yoyak.runs.stop_signals import on_stop_signal
from yoyak.values import Dialogue, Prediction, StopReason, Value

SHARD_ROWS = 2000
FLAGS = tuple(kind for kind in COUNTED if kind is not ErrorType.NOT_KOREAN)
"""What every scorecard counts, without what can only be told beside references."""


class BatchProgress(NamedTuple):
    """How far an output is.

    ``rows`` counts all rows that have a summary, ``new_rows`` those of this command, made in
    ``seconds``. ``expected_rows`` of the input are extrapolated from the part that was read,
    ``None`` where its length is not known. ``stopping``: the command ends with this shard.
    """

    rows: int
    expected_rows: int | None
    new_rows: int
    seconds: float
    stopping: bool

    @property
    def rows_per_second(self) -> float | None:
        """The pace of this command; ``None`` before the first row."""
        return self.new_rows / self.seconds if self.new_rows and self.seconds else None

    @property
    def seconds_left(self) -> float | None:
        """The time to the expected end at this pace, if both are known."""
        if self.expected_rows is None or self.rows_per_second is None:
            return None
        return max(self.expected_rows - self.rows, 0) / self.rows_per_second


class BatchRequest(NamedTuple):
    """What is to be summarised, by what, and where to; ``columns`` as in ``read_parts``."""

    source: Path
    output: Path
    model: BatchModel
    columns: Mapping[str, str]
    file_format: OutputFormat = "csv"
    shard_rows: int = SHARD_ROWS

    @property
    def job(self) -> BatchJob:
        """What the output is bound to."""
        return BatchJob(
            run=self.model.name,
            model=self.model.parts,
            columns=dict(self.columns),
            file_format=self.file_format,
            shard_rows=self.shard_rows,
        )


class BatchSummary(Value, frozen=True, kw_only=True):
    """A whole output, and what this command did for it; the form of ``yoyak predict --json``."""

    path: str
    run: str
    rows: int
    new_rows: int
    seconds: float
    rows_per_second: float | None
    """The pace of this command; ``None`` where it made no row."""
    flags: dict[ErrorType, int]
    """Rows that show each fault; faults that no row shows are left out."""
    stops: dict[StopReason, int]
    input_sha256: str
    output_sha256: str


class ShardPool(Protocol):
    """Makes shards elsewhere, several at a time."""

    def make(self, number: int, part: DialoguePart) -> Iterator[tuple[int, ShardRecord]]:
        """Begin a shard once there is room; yield what was finished meanwhile, in any order."""

    def finish(self) -> Iterator[tuple[int, ShardRecord]]:
        """Yield the shards that were begun, as they are finished."""


Pools = Callable[[BatchOutput], AbstractContextManager[ShardPool]]
"""Opens a pool whose shards are those of an output."""


def predict(
    request: BatchRequest,
    emit: Emit = lambda _: None,
    on_progress: Callable[[BatchProgress], None] = lambda _: None,
    pools: Pools | None = None,
) -> BatchSummary:
    """Summarise every row of the input, going on where an earlier command ended.

    Args:
        request: input, output and model.
        emit: receives the engine's events, such as warnings; those of a pool stay where it is.
        on_progress: called after every summary, or after every shard of a pool.
        pools: where shards are made, if not in this process.

    Raises:
        BadData: a row of the input breaks a rule, or the output was made from something else. All
            shards before it are there.
        Interrupted: a stop was requested, and the shard that was being made is written.
        RunFailed: the model fails on a row, or gives only empty or copied texts.
    """
    with (
        open_rows(request.source, request.shard_rows) as stream,
        open_output(request.output, request.job) as output,
        _finish_shard_on_signal() as stop,
    ):
        batch = _Batch(request, output, stream, stop, emit, on_progress)
        if pools is None:
            return batch.run()
        with pools(output) as pool:
            return batch.run(pool)


class _Stop:
    """Whether a signal asked to end after the current shard."""

    asked = False


@contextmanager
def _finish_shard_on_signal() -> Iterator[_Stop]:
    """Let the first SIGINT, SIGTERM or SIGHUP end the command after the shard in the making.

    The second ends it at once: no shard is half written, and the one in the making is lost.
    """
    stop = _Stop()

    def on_signal() -> None:
        if stop.asked:
            raise Interrupted("prediction.stopped-now")
        stop.asked = True

    with on_stop_signal(on_signal):
        yield stop


class _Batch:
    """One command at work on an output."""

    def __init__(
        self,
        request: BatchRequest,
        output: BatchOutput,
        stream: RowStream,
        stop: _Stop,
        emit: Emit,
        on_progress: Callable[[BatchProgress], None],
    ) -> None:
        self._request = request
        self._output = output
        self._stream = stream
        self._stop = stop
        self._maker = ShardMaker(request.model, output, emit, self._count_row)
        self._on_progress = on_progress
        self._began = time.monotonic()
        self._new_rows = 0
        self._expected_rows: int | None = None
        self._totals = ShardTotals()
        self._records: dict[int, ShardRecord] = {}
        """Shards that are there, but for which an earlier one is still being made."""

    def run(self, pool: ShardPool | None = None) -> BatchSummary:
        parts = read_parts(self._stream.tables, self._request.columns)
        result = self._output.result()
        if result is not None:
            self._require_same_input(result, parts)
            self._output.remove_shards()
        else:
            for number, part in enumerate(parts, start=1):
                self._add(number, part, pool)
            self._finish(pool)
            self._refuse_further_shards()
            result = self._output.finish(self._totals)
        progress = self._progress(result.rows, result.rows)
        return BatchSummary(
            path=str(self._output.path),
            run=self._request.model.name,
            rows=result.rows,
            new_rows=progress.new_rows,
            seconds=progress.seconds,
            rows_per_second=progress.rows_per_second,
            flags=result.flags,
            stops=result.stops,
            input_sha256=result.input_sha256,
            output_sha256=result.output_sha256,
        )

    def _require_same_input(self, result: BatchResult, parts: Iterator[DialoguePart]) -> None:
        for part in parts:
            self._totals.add_input(part.sha256)
        if self._totals.input_sha256 != result.input_sha256:
            raise self._output.other_input(1, result.rows)

    def _refuse_further_shards(self) -> None:
        """Refuse an input that ends before the rows that there are shards of."""
        if self._output.has_shard(self._totals.shards + 1):
            first = self._totals.rows + 1
            raise self._output.other_input(first, first + self._request.shard_rows - 1)

    def _add(self, number: int, part: DialoguePart, pool: ShardPool | None) -> None:
        record = self._output.shard(number, part)
        if record is not None:
            self._record(number, record)
            return
        if self._stop.asked:
            self._finish(pool)
            raise Interrupted("prediction.stopped", rows=self._totals.rows)
        if self._new_rows == 0:
            self._began = time.monotonic()  # passing over rows that are there is no pace
        read = self._stream.fraction()
        self._expected_rows = round(part.last_row / read) if read else None
        if pool is None:
            self._record(number, self._maker.make(number, part))
        else:
            self._take(pool.make(number, part))

    def _finish(self, pool: ShardPool | None) -> None:
        if pool is not None:
            self._take(pool.finish())

    def _take(self, made: Iterator[tuple[int, ShardRecord]]) -> None:
        for number, record in made:
            self._record(number, record)
            self._new_rows += record.rows
            rows = self._totals.rows + sum(each.rows for each in self._records.values())
            self._on_progress(self._progress(rows, self._expected_rows))

    def _record(self, number: int, record: ShardRecord) -> None:
        """Add a shard to the totals once all shards before it are there."""
        self._records[number] = record
        while (found := self._records.pop(self._totals.shards + 1, None)) is not None:
            self._totals.add(found)

    def _count_row(self, row: int) -> None:
        self._new_rows += 1
        self._on_progress(self._progress(self._totals.rows + row, self._expected_rows))

    def _progress(self, rows: int, expected_rows: int | None) -> BatchProgress:
        return BatchProgress(
            rows=rows,
            expected_rows=expected_rows,
            new_rows=self._new_rows,
            seconds=time.monotonic() - self._began,
            stopping=self._stop.asked,
        )


class ShardMaker:
    """Makes the shards of an output in this process; the engine keeps its model between them.

    Args:
        model: that summarises.
        output: whose folder the shards are written to.
        emit: receives the engine's events.
        on_row: called with the number of rows of a shard that have a summary, after each.
    """

    def __init__(
        self,
        model: BatchModel,
        output: BatchOutput,
        emit: Emit = lambda _: None,
        on_row: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._model = model
        self._output = output
        self._emit = emit
        self._on_row = on_row
        self._generate_job: Generate | None = None

    def make(self, number: int, part: DialoguePart) -> ShardRecord:
        """Summarise a part of the input, and write its shard."""
        began = time.monotonic()
        dialogues = _with_unique_ids(part)
        predictions = self._generate(dialogues, number)
        self._model.require_unchanged()
        rows = _summary_rows(part.dialogues, dialogues, predictions)
        record = ShardRecord(
            first_row=part.first_row,
            rows=len(rows),
            input_sha256=part.sha256,
            flags=dict(Counter(flag for row in rows for flag in row.flags)),
            stops=dict(Counter(row.stop for row in rows)),
            seconds=time.monotonic() - began,
        )
        self._output.write_shard(number, record, rows)
        return record

    def _generate(self, dialogues: Sequence[Dialogue], number: int) -> dict[str, Prediction]:
        model = self._model
        if self._generate_job is None:
            self._generate_job = model.generate()
        job = GenerateJob(
            recipe=model.recipe,
            decode=model.recipe.decode,
            dialogues=dialogues,
            train=model.train,
            folder=model.folder,
            emit=self._emit,
            smoke_check=number == 1,
            keep_rows=False,
        )
        found = {}
        for prediction in self._generate_job(job):
            found[prediction.id] = prediction
            self._on_row(len(found))
        missing = [dialogue.id for dialogue in dialogues if dialogue.id not in found]
        if missing:
            raise RunFailed("prediction.no-summary", run=model.name, id=missing[0])
        return found


def _with_unique_ids(part: DialoguePart) -> list[Dialogue]:
    """Return the dialogues, of which an id's second and later ones get the row's number as well.

    Engines tell rows apart by their ids, and a file may repeat them.
    """
    seen: set[str] = set()
    found = []
    for row, dialogue in enumerate(part.dialogues, part.first_row):
        key = dialogue.id
        while key in seen:
            key = f"{key} (row {row})"
        seen.add(key)
        unique = key == dialogue.id
        found.append(dialogue if unique else msgspec.structs.replace(dialogue, id=key))
    return found


def _summary_rows(
    written: Sequence[Dialogue], asked: Sequence[Dialogue], predictions: Mapping[str, Prediction]
) -> list[SummaryRow]:
    """Return the rows of the output, in the order of the input and with the ids of the file."""
    items = {one.id: SummaryItem(predictions[one.id].text, one.text) for one in asked}
    flagged = {kind: frozenset(ids) for kind, ids in rows_with(items, FLAGS).items()}
    return [
        SummaryRow(
            id=dialogue.id,
            summary=predictions[unique.id].text,
            stop=predictions[unique.id].stop,
            tokens=predictions[unique.id].tokens,
            flags=tuple(kind for kind in FLAGS if unique.id in flagged[kind]),
        )
        for dialogue, unique in zip(written, asked, strict=True)
    ]
