"""Read the rows of a file of any length a few thousand at a time, with the checks of ``rows``.

CSV, TSV and JSON lines, plain or compressed with gzip, from a file, a pipe or standard input, and
Parquet where pyarrow is installed. The format is recognised from the content. Memory holds one
part of the file and never more than ``MAX_CHARACTERS`` of one line or cell.
"""

import csv
import gzip
import io
import os
import shlex
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from yoyak.data.encoding import decode
from yoyak.data.json_rows import JsonRecord, read_json_line
from yoyak.data.rows import (
    EXCEL_SEPARATOR,
    InputTable,
    TableRow,
    columns_of,
    csv_header,
    csv_records,
    csv_row,
    find_separator,
    json_row,
    named_columns,
    no_rows,
)
from yoyak.data.text_file import ZIP_STARTS, read_text_file, refuse_other_formats
from yoyak.errors import BadData, InputMissing, Unavailable

STDIN = Path("-")
MAX_CHARACTERS = 1 << 24
"""Upper limit of a line and of a cell: a file without line breaks must not fill the memory."""

_HEAD_BYTES = 1 << 16
_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"


class RowStream(NamedTuple):
    """The rows of one input in parts; ``fraction`` tells how much of it was read, 0 to 1.

    Each part is a table with at most as many rows as were asked for. ``fraction`` gives ``None``
    where the length is not known: for pipes and standard input.
    """

    path: Path
    tables: Iterator[InputTable]
    fraction: Callable[[], float | None]


@contextmanager
def open_rows(path: Path, part_rows: int) -> Iterator[RowStream]:
    """Open ``path`` (``-`` is standard input) to read it in parts of ``part_rows`` rows.

    Raises:
        InputMissing: there is no such file, or it cannot be read.
        BadData: it is in another format, or a row breaks the rules of ``rows.read_rows``; the
            message names file, row and line.
        Unavailable: it is Parquet and pyarrow is not installed.
    """
    with _open(path) as raw:
        size = _size(raw)
        head, source = _with_head(raw)
        if head.startswith(_PARQUET):
            yield _parquet(path, part_rows)
            return
        if head.startswith(ZIP_STARTS) and size is not None and path != STDIN:
            refuse_other_formats(path, path.read_bytes())
        tables = _tables(path, head, source, part_rows)
        yield RowStream(path, tables, lambda: raw.tell() / size if size else None)


def _open(path: Path) -> BinaryIO:
    try:
        if path == STDIN:
            return os.fdopen(os.dup(0), "rb")
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISFIFO(mode):
            read_text_file(path)  # which says what it is
        return path.open("rb")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputMissing("data.no-file", file=path) from error
    except OSError as error:
        raise InputMissing("data.unreadable", file=path, problem=error.strerror) from error


def _size(raw: BinaryIO) -> int | None:
    found = os.fstat(raw.fileno())
    return found.st_size if stat.S_ISREG(found.st_mode) else None


class _Rejoined(io.RawIOBase):
    """A stream whose first bytes were read already; pipes cannot be read again."""

    def __init__(self, head: bytes, rest: BinaryIO | gzip.GzipFile) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self._head[: len(buffer)] or self._rest.read(len(buffer))
        self._head = self._head[len(found) :]
        buffer[: len(found)] = found
        return len(found)


def _with_head(stream: BinaryIO | gzip.GzipFile) -> tuple[bytes, io.BufferedReader]:
    """Return the first bytes of a stream, and the stream from its start."""
    head = stream.read(_HEAD_BYTES)
    return head, io.BufferedReader(_Rejoined(head, stream), _HEAD_BYTES)


# --- text ----------------------------------------------------------------------------------------


def _tables(
    path: Path, head: bytes, source: io.BufferedReader, part_rows: int
) -> Iterator[InputTable]:
    if head.startswith(_GZIP):
        with _compression_errors(path):
            head, source = _with_head(gzip.GzipFile(fileobj=source))
    refuse_other_formats(path, head)
    whole_lines = head[: head.rfind(b"\n") + 1]
    decode(path, whole_lines)  # an error can name the encoding better than a single line's
    lines = _lines(path, source)
    start = list(_first_lines(lines))
    while start and not start[0].text.strip():
        del start[0]
    if not start:
        raise BadData("data.empty-file", file=path)
    following = chain(start, lines)
    match start[0].text.lstrip()[0]:
        case "[":
            raise BadData("data.json-array", file=path, command=_to_lines(path))
        case "{":
            return _json_tables(path, following, part_rows)
        case _:
            text = "".join(line.text for line in start)
            return _csv_tables(path, following, text, part_rows)


def _to_lines(path: Path) -> str:
    return f"jq -c '.[]' {shlex.quote(str(path))} > {shlex.quote(str(path.with_suffix('.jsonl')))}"


class _Line(NamedTuple):
    number: int
    text: str


def _lines(path: Path, source: BinaryIO) -> Iterator[_Line]:
    """Yield the lines with their ends as ``io`` finds them, without a byte order mark."""
    text = io.TextIOWrapper(source, encoding="utf-8-sig", newline="")
    number = 0
    while True:
        number += 1
        try:
            with _compression_errors(path):
                line = text.readline(MAX_CHARACTERS)
        except UnicodeDecodeError as error:
            decode(path, error.object, first_line=number)
            raise
        if not line:
            return
        if len(line) == MAX_CHARACTERS:
            raise BadData("data.long-line", file=path, line=number, most=MAX_CHARACTERS)
        yield _Line(number, line)


def _first_lines(lines: Iterator[_Line]) -> Iterator[_Line]:
    """Yield lines until the header of any table has been among them."""
    characters = 0
    for line in lines:
        yield line
        characters += len(line.text)
        if characters > _HEAD_BYTES:
            return


@contextmanager
def _compression_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BadData("data.broken-gzip", file=path, problem=error) from error


def _json_tables(path: Path, lines: Iterator[_Line], part_rows: int) -> Iterator[InputTable]:
    records = (
        json_row(path, read_json_line(path, line.text, number, line.number))
        for number, line in enumerate((line for line in lines if line.text.strip()), 1)
    )
    return _parts(path, records, None, part_rows)


def _csv_tables(
    path: Path, lines: Iterator[_Line], start: str, part_rows: int
) -> Iterator[InputTable]:
    declared = EXCEL_SEPARATOR.match(start)
    separator = find_separator(path, start) if declared is None else declared[1]
    first = next(lines)
    if declared is not None:
        first = next(lines, _Line(2, ""))
    # The limit belongs to the whole process.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_CHARACTERS))
    texts = (line.text for line in chain((first,), lines))
    records = csv_records(path, texts, separator, first.number)
    header = csv_header(path, records)
    rows = (csv_row(path, header, *record) for record in records)
    return _parts(path, rows, named_columns(header), part_rows)


def _parts(
    path: Path, rows: Iterator[TableRow], columns: tuple[str, ...] | None, part_rows: int
) -> Iterator[InputTable]:
    """Yield ``rows`` in tables; without ``columns`` each table has those of its own rows."""
    part = tuple(islice(rows, part_rows))
    if not part:
        raise no_rows(path)
    while part:
        yield InputTable(path, columns or columns_of(part), part, sha256="")
        part = tuple(islice(rows, part_rows))


# --- Parquet -------------------------------------------------------------------------------------


def _parquet(path: Path, part_rows: int) -> RowStream:
    if find_spec("pyarrow") is None:
        raise Unavailable("data.no-parquet", file=path)
    if path == STDIN or not path.is_file():
        raise BadData("data.parquet-pipe", file=path)
    from pyarrow import ArrowException, parquet

    try:
        file = parquet.ParquetFile(path)
    except (ArrowException, OSError) as error:
        raise BadData("data.broken-parquet", file=path, problem=error) from error
    read = 0

    def records() -> Iterator[TableRow]:
        nonlocal read
        try:
            for batch in file.iter_batches(batch_size=min(part_rows, 1024)):
                for value in batch.to_pylist():
                    read += 1
                    yield json_row(path, JsonRecord(read, read, _json_value(value)))
        except (ArrowException, OSError) as error:
            raise BadData("data.broken-parquet", file=path, problem=error) from error

    total = file.metadata.num_rows
    tables = _parts(path, records(), tuple(file.schema_arrow.names), part_rows)
    return RowStream(path, tables, lambda: read / total if total else None)


def _json_value(value: dict[str, Any]) -> dict[str, object]:
    """Return a record with numbers as text, as JSON has them; other types as Python writes them."""
    kept = (str, list, dict, type(None))
    return {key: each if isinstance(each, kept) else str(each) for key, each in value.items()}
