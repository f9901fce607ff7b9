"""The folder of an output: shards while it is being made, one file once it is whole.

::

    OUT/job.json               what the output is made from: model, decoding, columns, format
    OUT/shards/000001/…        rows, their record and a manifest, each shard a whole folder
    OUT/predictions.csv        all rows in order, once every shard is there
    OUT/result.json            counts and hashes of that file; then the shards are removed

A shard exists whole or not at all, so that a kill loses no more than the one being made. It
records the hash of the rows it was made from: a corrected row after the last shard does not matter,
a changed one before it is refused.
"""

import csv
import fcntl
import io
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import msgspec

from yoyak.data.dialogue_stream import DialoguePart
from yoyak.errors import BadData, CannotWrite, Interrupted
from yoyak.files import atomic
from yoyak.files.disk_errors import explain_write_errors
from yoyak.files.format import BATCH, decode_record
from yoyak.metrics.diagnostics.error_types import ErrorType
from yoyak.values import StopReason, Value

OutputFormat = Literal["csv", "jsonl"]
LOCK = ".lock"
"""The file that the one command which makes an output holds a lock on."""
COLUMNS = ("id", "summary", "stop", "tokens", "flags")

_T = TypeVar("_T")


class BatchJob(Value, frozen=True, kw_only=True):
    """What all shards of an output have in common; ``columns`` are the declared ones."""

    run: str
    model: dict[str, str]
    columns: dict[str, str]
    file_format: OutputFormat
    shard_rows: int
    format: int = BATCH.number


class SummaryRow(Value, frozen=True, kw_only=True):
    """One row of the output; ``tokens`` is ``None`` where the engine has none."""

    id: str
    summary: str
    stop: StopReason
    tokens: int | None
    flags: tuple[ErrorType, ...]


class ShardRecord(Value, frozen=True, kw_only=True):
    """Rows from ``first_row`` on, counted from 1; ``input_sha256`` is that of their dialogues."""

    first_row: int
    rows: int
    input_sha256: str
    flags: dict[ErrorType, int]
    stops: dict[StopReason, int]
    seconds: float


class BatchResult(Value, frozen=True, kw_only=True):
    """A whole output: counts over all rows, the seconds of its shards, and hashes."""

    rows: int
    flags: dict[ErrorType, int]
    """Rows that show each fault; faults that no row shows are left out."""
    stops: dict[StopReason, int]
    seconds: float
    input_sha256: str
    output_sha256: str
    format: int = BATCH.number


class ShardTotals:
    """Counts of the shards so far, in order."""

    def __init__(self) -> None:
        self.rows = 0
        self.shards = 0
        self.seconds = 0.0
        self.flags: Counter[ErrorType] = Counter()
        self.stops: Counter[StopReason] = Counter()
        self._inputs: list[str] = []

    def add(self, shard: ShardRecord) -> None:
        """Add the next shard."""
        self.add_input(shard.input_sha256)
        self.rows += shard.rows
        self.seconds += shard.seconds
        self.flags.update(shard.flags)
        self.stops.update(shard.stops)

    def add_input(self, sha256: str) -> None:
        """Add the hash of the next part of the input."""
        self.shards += 1
        self._inputs.append(sha256)

    @property
    def input_sha256(self) -> str:
        """The hash of the whole input so far."""
        return atomic.sha256_of(self._inputs)


class BatchOutput(NamedTuple):
    """The folder of an output that this process alone writes; see ``open_output``."""

    folder: Path
    job: BatchJob

    @property
    def path(self) -> Path:
        """The file of all rows."""
        return self.folder / f"predictions.{self.job.file_format}"

    def shard(self, number: int, part: DialoguePart) -> ShardRecord | None:
        """Return the record of a shard that is there, byte for byte as it was written.

        Raises:
            BadData: it was made from other rows than ``part``.
        """
        folder = self._shard_folder(number)
        if atomic.verify_folder(folder) is None:
            return None
        record = _read(folder / "shard.json", ShardRecord)
        if record.input_sha256 != part.sha256:
            raise self.other_input(part.first_row, part.first_row + record.rows - 1)
        return record

    def other_input(self, first_row: int, last_row: int) -> BadData:
        """Return the error that says which rows the output was not made from."""
        return BadData("prediction.other-input", out=self.folder, first=first_row, last=last_row)

    def write_shard(self, number: int, record: ShardRecord, rows: Sequence[SummaryRow]) -> None:
        """Write a shard, whole or not at all."""
        encode = _csv if self.job.file_format == "csv" else _jsonl
        with atomic.whole_folder(self._shard_folder(number)) as folder:
            (folder / "rows").write_bytes(encode(rows))
            (folder / "shard.json").write_bytes(msgspec.json.encode(record))

    def has_shard(self, number: int) -> bool:
        """Return whether there is a shard of that number, whole or damaged."""
        return self._shard_folder(number).exists()

    def result(self) -> BatchResult | None:
        """Return the result of an output that is whole.

        Raises:
            BadData: its file was edited or removed since.
        """
        path = self.folder / "result.json"
        if not path.is_file():
            return None
        result = _read(path, BatchResult)
        if not self.path.is_file() or atomic.sha256_file(self.path) != result.output_sha256:
            raise BadData("prediction.edited", path=self.path, out=self.folder)
        return result

    def finish(self, totals: ShardTotals) -> BatchResult:
        """Join the shards to one file, record the result, and remove the shards."""
        with atomic.whole_file(self.path) as write:
            if self.job.file_format == "csv":
                write(_csv_lines([COLUMNS]))
            for number in range(1, totals.shards + 1):
                write((self._shard_folder(number) / "rows").read_bytes())
        result = BatchResult(
            rows=totals.rows,
            flags=dict(totals.flags),
            stops=dict(totals.stops),
            seconds=totals.seconds,
            input_sha256=totals.input_sha256,
            output_sha256=atomic.sha256_file(self.path),
        )
        atomic.write_value(self.folder / "result.json", result)
        self.remove_shards()
        return result

    def remove_shards(self) -> None:
        """Remove the shards, which the joined file holds."""
        shards = self._shards
        if shards.is_dir():
            atomic.clear_leftovers(shards)
            for folder in sorted(shards.iterdir()):
                atomic.remove_folder(folder)
            with explain_write_errors(shards):
                shards.rmdir()

    @property
    def _shards(self) -> Path:
        return self.folder / "shards"

    def _shard_folder(self, number: int) -> Path:
        return self._shards / f"{number:06d}"


@contextmanager
def open_output(folder: Path, job: BatchJob) -> Iterator[BatchOutput]:
    """Begin an output in ``folder``, or go on with the one of the same ``job`` that is there.

    Raises:
        CannotWrite: the folder holds something else, or cannot be written.
        BadData: its output is of another job; the message says in what they differ.
        Interrupted: another process is writing it.
    """
    _refuse_other_folders(folder)
    with explain_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Interrupted("prediction.locked", out=folder) from error
        _bind(folder, job)
        for each in (folder, folder / "shards"):
            atomic.clear_leftovers(each)
        yield BatchOutput(folder, job)
    finally:
        os.close(handle)


def _refuse_other_folders(folder: Path) -> None:
    """Refuse a folder that neither holds a job of ours nor is empty."""
    if not os.path.lexists(folder):
        return
    begun = (folder / "job.json").is_file()
    if not folder.is_dir() or (not begun and _holds_more_than_a_start(folder)):
        raise CannotWrite("prediction.in-the-way", out=folder)
    if begun:
        _read(folder / "job.json", BatchJob)


def _holds_more_than_a_start(folder: Path) -> bool:
    """Return whether a folder without a job has more in it than a start that was killed leaves."""
    starts = {folder / LOCK, *atomic.leftovers(folder)}
    return any(path not in starts for path in folder.iterdir())


def _bind(folder: Path, job: BatchJob) -> None:
    """Record the job; one that has made no shard yet is replaced."""
    path = folder / "job.json"
    made = any((folder / name).exists() for name in ("shards", "result.json"))
    if not made or not path.is_file():
        atomic.write_value(path, job)
        return
    begun = _read(path, BatchJob)
    if begun == job:
        return
    pairs = {
        "run": (begun.run, job.run),
        **{name: (begun.model.get(name), job.model[name]) for name in job.model},
        "columns": (begun.columns, job.columns),
        "--format": (begun.file_format, job.file_format),
        "--shard-rows": (begun.shard_rows, job.shard_rows),
    }
    names = ", ".join(name for name, (old, new) in pairs.items() if old != new)
    raise BadData("prediction.other-job", out=folder, run=begun.run, names=names)


def _read(path: Path, kind: type[_T]) -> _T:
    try:
        return decode_record(path.read_bytes(), kind, BATCH, path)
    except (msgspec.DecodeError, UnicodeDecodeError, FileNotFoundError) as error:
        raise BadData("runs.bad-record", path=path, problem=error) from error


def _csv(rows: Sequence[SummaryRow]) -> bytes:
    return _csv_lines(
        [
            (row.id, row.summary, row.stop, "" if row.tokens is None else row.tokens, _joined(row))
            for row in rows
        ]
    )


def _joined(row: SummaryRow) -> str:
    return " ".join(row.flags)


def _csv_lines(rows: Sequence[Sequence[object]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()


def _jsonl(rows: Sequence[SummaryRow]) -> bytes:
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
