"""Read CSV and JSONL rows strictly, each with its row and line number for error messages.

Nothing is guessed away: every cell stays text ("NA" and "null" too), every row has as many cells
as the header, and a file that was cut off is an error that names the row.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from yoyak.data.encoding import nul_error, text_of
from yoyak.errors import BadData
from yoyak.messages import listed

ID_COLUMNS = (
    "fname", "id", "dialogueid", "dialogid", "exampleid", "sampleid", "docid", "uid", "filename",
)  # fmt: skip
"""Names of the id column, without case and separators."""

_UNNAMED = re.compile(r"(?:Unnamed: \d+)?")
"""How a table that pandas wrote with its index calls that column."""


class TableRow(NamedTuple):
    """One record: ``number`` counts records after the header from 1, ``line`` is where it starts.

    The two differ because a dialogue has line breaks inside its cell. Cells are in NFC (decomposed
    Hangul is composed) except ids, which stay as written; ``as_written`` holds what was changed.
    """

    number: int
    line: int
    cells: dict[str, str]
    as_written: Mapping[str, str] = MappingProxyType({})


class InputTable(NamedTuple):
    """All records of a file; unnamed columns (an index that pandas wrote) are left out.

    ``ends_with_newline`` is false where a CSV may have been cut inside its last cell.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]
    ends_with_newline: bool

    def cell(self, row: TableRow, column: str) -> str:
        """Return one cell.

        Raises:
            BadData: a JSON record leaves the column out, or says null.
        """
        text = row.cells.get(column)
        if text is None:
            raise self.error("data.missing-cell", row, column=column)
        return text

    def error(self, key: str, /, row: TableRow, **fields: object) -> BadData:
        """Return the error ``key`` at a row of this table."""
        return BadData(key, file=self.path, row=row.number, line=row.line, **fields)


def read_rows(path: Path) -> InputTable:
    """Read all records of a CSV file (RFC 4180, comma, header) or a JSONL file (one object a line).

    Raises:
        InputMissing: there is no such file.
        BadData: it is not UTF-8, not a table, or breaks off; the message names file and row.
    """
    text = text_of(path)
    if not text.strip():
        raise BadData("data.empty-file", file=path)
    if path.suffix.lower() == ".txt":
        raise BadData("data.plain-text", file=path)
    if path.suffix.lower() in {".jsonl", ".ndjson", ".json"} or text.lstrip().startswith("{"):
        return _read_jsonl(path, text)
    return _read_csv(path, text)


# --- CSV -----------------------------------------------------------------------------------------


def _read_csv(path: Path, text: str) -> InputTable:
    records = _records(path, text)
    _, _, header = next(records)
    _check_header(path, header)
    rows = tuple(_row(path, text, header, *record) for record in records)
    if not rows:
        raise BadData("data.no-rows", file=path)
    columns = tuple(name for name in header if not _UNNAMED.fullmatch(name))
    return InputTable(path, columns, rows, text.endswith(("\n", "\r")))


def _records(path: Path, text: str) -> Iterator[tuple[int, int, list[str]]]:
    """Yield number (0 is the header), first line and cells of each record; skip blank lines."""
    # The limit belongs to the whole process and is there against unclosed quotes, which strict
    # reading finds anyway.
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    number = 0
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            cut = "unexpected end of data" in str(error)
            key = "data.unclosed-quote" if cut else "data.bad-quote"
            raise BadData(key, file=path, row=number, line=line, problem=str(error)) from error
        if cells is None:
            return
        if cells:
            yield number, line, cells
            number += 1


def _check_header(path: Path, header: list[str]) -> None:
    for separator in ("\t", ";", "|"):
        if len(header) == 1 and separator in header[0]:
            name = "TAB" if separator == "\t" else separator
            raise BadData("data.separator", file=path, separator=name, header=header[0])
    named = [name for name in header if not _UNNAMED.fullmatch(name)]
    repeated = sorted({name for name in named if named.count(name) > 1})
    if repeated:
        raise BadData("data.repeated-column", file=path, columns=listed(repeated))


def _row(
    path: Path, text: str, header: list[str], number: int, line: int, cells: list[str]
) -> TableRow:
    if any("\0" in cell for cell in cells):
        raise nul_error(path, text, number, line)
    if len(cells) != len(header):
        raise BadData(
            "data.cell-count",
            file=path,
            row=number,
            line=line,
            found=len(cells),
            expected=len(header),
            columns=listed(header),
        )
    named = zip(header, cells, strict=True)
    return _composed(
        number, line, {name: cell for name, cell in named if not _UNNAMED.fullmatch(name)}
    )


def _composed(number: int, line: int, cells: dict[str, str]) -> TableRow:
    changed = {
        name: cell
        for name, cell in cells.items()
        if not unicodedata.is_normalized("NFC", cell) and column_key(name) not in ID_COLUMNS
    }
    composed = {name: unicodedata.normalize("NFC", cell) for name, cell in changed.items()}
    return TableRow(number, line, cells | composed, changed)


def column_key(column: str) -> str:
    """Return a column's name without case and separators: ``Pred_Summary`` is ``predsummary``."""
    return re.sub(r"[\W_]+", "", column.casefold())


# --- JSONL ---------------------------------------------------------------------------------------


def _read_jsonl(path: Path, text: str) -> InputTable:
    lines = [(line, raw) for line, raw in enumerate(text.split("\n"), 1) if raw.strip()]
    rows = tuple(_parse(path, number, line, raw) for number, (line, raw) in enumerate(lines, 1))
    columns = tuple(dict.fromkeys(name for row in rows for name in row.cells))
    return InputTable(path, columns, rows, ends_with_newline=True)  # an object closes itself


def _parse(path: Path, number: int, line: int, raw: str) -> TableRow:
    try:
        record = msgspec.json.decode(raw.encode(), type=dict[str, object])
    except msgspec.DecodeError as error:
        problem = str(error)
        raise BadData("data.bad-json", file=path, row=number, line=line, problem=problem) from error
    cells = dict(cell for name, value in record.items() for cell in _cells(name, value))
    if any("\0" in cell for cell in cells.values()):
        raise BadData("data.nul", file=path, row=number, line=line)
    return _composed(number, line, cells)


def _cells(name: str, value: object) -> Iterator[tuple[str, str]]:
    """Yield a JSON value as cells: a list becomes ``name``, ``name2``, …; null gives none."""
    match value:
        case None:
            return
        case str():
            yield name, value
        case [*items] if all(isinstance(item, str) for item in items):
            for position, item in enumerate(items, 1):
                yield name if position == 1 else f"{name}{position}", str(item)
        case _:
            yield name, msgspec.json.encode(value).decode()
