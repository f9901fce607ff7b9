"""Read rows strictly from CSV, TSV, JSON or JSONL, each with its number and line for messages.

The format is recognised from the content, not from the file's name. Nothing is guessed away: every
cell stays text ("NA" and "null" too), every row has as many cells as the header, and a file that
was cut off is an error that names the row.
"""

import csv
import hashlib
import io
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from yoyak.data.json_rows import JsonRecord, read_json_records
from yoyak.data.published_formats import WrongUtterance, convert, format_of
from yoyak.data.text_file import read_text_file
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
    ``speakers`` has the tag of each speaker whose name was replaced by one. ``file`` is set where
    a table has rows of several files, in which number and line count for themselves.
    """

    number: int
    line: int
    cells: dict[str, str]
    as_written: Mapping[str, str] = MappingProxyType({})
    speakers: Mapping[str, str] = MappingProxyType({})
    file: Path | None = None


class InputTable(NamedTuple):
    """All records of a file; unnamed columns (an index that pandas wrote) are left out.

    ``sha256`` is that of the bytes that were read. ``published_as`` names the corpus whose
    structure the records have. ``separator`` is that of a table, ``None`` for JSON and where the
    first line declares it to Excel. ``ends_with_newline`` is false where a CSV may have been cut
    inside its last cell.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]
    sha256: str
    ends_with_newline: bool = True
    published_as: str | None = None
    separator: str | None = None

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
        return BadData(key, file=row.file or self.path, row=row.number, line=row.line, **fields)


def read_rows(path: Path) -> InputTable:
    """Read all records of a file or pipe.

    A text that starts with ``{`` or ``[`` is JSON: an array of objects, objects one after another
    (JSONL), or one of ``published_formats``. Anything else is a table with a header (RFC 4180)
    whose cells are separated by comma, tab, semicolon or bar.

    Raises:
        InputMissing: there is no such file.
        BadData: it is no such text, or breaks off; the message names file and row.
    """
    file = read_text_file(path)
    start = file.text.lstrip()[:1]
    if start in {"{", "["}:
        return _read_json(path, file.text, file.sha256)
    if path.suffix.lower() in _JSON_NAMES and (kind := _lone_value(file.text)):
        raise BadData("data.lone-value", file=path, kind=kind)
    if path.suffix.lower() == ".txt":
        raise BadData("data.plain-text", file=path)
    return _read_csv(path, file.text, file.sha256)


def read_folder(folder: Path, extensions: Collection[str]) -> InputTable:
    """Read all records of the files below ``folder`` as one table, in the order of their names.

    Raises:
        BadData: no file has one of ``extensions``, or a file is refused by ``read_rows``.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in extensions)
    if not paths:
        raise BadData("data.empty-folder", folder=folder, ends=", ".join(extensions))
    tables = [read_rows(path) for path in paths]
    cut = next((table for table in tables if not table.ends_with_newline), None)
    if cut is not None:
        raise cut.error("data.no-final-newline", cut.rows[-1], id="?")
    return InputTable(
        path=folder,
        columns=tuple(dict.fromkeys(name for table in tables for name in table.columns)),
        rows=tuple(row._replace(file=table.path) for table in tables for row in table.rows),
        sha256=hashlib.sha256("".join(table.sha256 for table in tables).encode()).hexdigest(),
        published_as=tables[0].published_as,
    )


_JSON_NAMES = frozenset({".json", ".jsonl", ".ndjson"})


def _lone_value(text: str) -> str | None:
    """Return what a text is that is JSON and neither object nor array; ``None`` for no JSON."""
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    return {str: "string", bool: "boolean", type(None): "null"}.get(type(value), "number")


# --- CSV -----------------------------------------------------------------------------------------

_SEPARATORS = (",", "\t", ";", "|")
EXCEL_SEPARATOR = re.compile(r'"?sep=(.)"?[ \t]*(?:\r\n|\n|\r)')
"""The first line by which Excel is told the separator of a CSV file."""


def _read_csv(path: Path, text: str, sha256: str) -> InputTable:
    declared = EXCEL_SEPARATOR.match(text)
    start = 0 if declared is None else declared.end()
    if not text[start:].strip():
        raise no_rows(path)
    separator = find_separator(path, text[start:]) if declared is None else declared[1]
    # The limit belongs to the whole process and is there against unclosed quotes, which strict
    # reading finds anyway.
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    lines = io.StringIO(text[start:], newline="")
    records = csv_records(path, lines, separator, 1 if declared is None else 2)
    header = csv_header(path, records)
    try:
        rows = tuple(csv_row(path, header, *record) for record in records)
    except BadData as error:
        raise _nul_before(path, text, error) from error
    if not rows:
        raise no_rows(path)
    return InputTable(
        path=path,
        columns=named_columns(header),
        rows=rows,
        sha256=sha256,
        ends_with_newline=text.endswith(("\n", "\r")),
        separator=separator if declared is None else None,
    )


def _nul_before(path: Path, text: str, error: BadData) -> BadData:
    """Return the error of a NUL where one made a cell open or end in the wrong place."""
    at = text.find("\0")
    if at < 0 or error.key == "data.nul":
        return error
    line = text.count("\n", 0, at) + 1
    return BadData("data.nul", file=path, row=error.fields["row"], line=line)


def no_rows(path: Path) -> BadData:
    """Return the error of a file without rows: a lone word in a JSON file is no header."""
    is_json = path.suffix.lower() in _JSON_NAMES
    return BadData("data.no-records" if is_json else "data.no-rows", file=path)


def find_separator(path: Path, text: str) -> str:
    """Return the separator of a table: the first that divides its header."""
    for separator in _SEPARATORS:
        _, _, header = next(csv_records(path, io.StringIO(text, newline=""), separator, 1))
        if len(header) > 1:
            return separator
    return _SEPARATORS[0]


def csv_records(
    path: Path, lines: Iterable[str], separator: str, first_line: int
) -> Iterator[tuple[int, int, list[str]]]:
    """Yield number (0 is the header), first line and cells of each record; skip blank lines."""
    reader = csv.reader(lines, strict=True, delimiter=separator)
    number = 0
    while True:
        line = reader.line_num + first_line
        try:
            cells = next(reader, None)
        except csv.Error as error:
            # A quote that never closes takes in the rest of the file, or what one cell may hold.
            cut = re.search("unexpected end of data|field limit", str(error))
            key = "data.unclosed-quote" if cut else "data.bad-quote"
            raise BadData(key, file=path, row=number, line=line, problem=str(error)) from error
        if cells is None:
            return
        if cells:
            yield number, line, cells
            number += 1


def csv_header(path: Path, records: Iterator[tuple[int, int, list[str]]]) -> list[str]:
    """Take the header from ``records``.

    Raises:
        BadData: it has a NUL, or a name occurs twice.
    """
    number, line, header = next(records)
    _refuse_nul(path, number, line, header)
    named = named_columns(header)
    repeated = sorted({name for name in named if named.count(name) > 1})
    if repeated:
        raise BadData("data.repeated-column", file=path, columns=listed(repeated))
    return header


def named_columns(header: Iterable[str]) -> tuple[str, ...]:
    """Return the columns without those that pandas wrote as an index."""
    return tuple(name for name in header if not _UNNAMED.fullmatch(name))


def csv_row(path: Path, header: list[str], number: int, line: int, cells: list[str]) -> TableRow:
    """Return one record as a row.

    Raises:
        BadData: it has a NUL, or another number of cells than the header.
    """
    _refuse_nul(path, number, line, cells)
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


def _refuse_nul(path: Path, number: int, line: int, cells: list[str]) -> None:
    if any("\0" in cell for cell in cells):
        raise BadData("data.nul", file=path, row=number, line=line)


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


# --- JSON ----------------------------------------------------------------------------------------


def _read_json(path: Path, text: str, sha256: str) -> InputTable:
    records = read_json_records(path, text, id_name="fname", text_name="summary")
    if not records:
        raise BadData("data.no-records", file=path)
    known = format_of(records[0].value)
    rows = tuple(json_row(path, record) for record in records)
    published_as = None if known is None else known.name
    return InputTable(
        path, columns_of(rows), rows, sha256, published_as=published_as
    )  # JSON closes itself


def columns_of(rows: Iterable[TableRow]) -> tuple[str, ...]:
    """Return the columns of rows that may differ in them, in order of first appearance."""
    return tuple(dict.fromkeys(name for row in rows for name in row.cells))


def json_row(path: Path, record: JsonRecord) -> TableRow:
    """Return one JSON object as a row; a record of a published corpus is converted.

    Raises:
        BadData: it has a NUL or a lone surrogate, or an utterance without speaker or text.
    """
    place = {"file": path, "row": record.number, "line": record.line}
    known = format_of(record.value)
    if known is None:
        cells = dict(cell for name, value in record.value.items() for cell in _cells(name, value))
        speakers: Mapping[str, str] = {}
    else:
        try:
            cells, speakers = convert(record.value, known)
        except WrongUtterance as error:
            raise BadData("data.bad-utterance", corpus=known.name, found=error, **place) from error
    for cell in cells.values():
        if "\0" in cell:
            raise BadData("data.nul", **place)
        if not _is_unicode(cell):
            raise BadData("data.bad-json", problem="a lone surrogate", **place)
    return _composed(record.number, record.line, cells)._replace(speakers=speakers)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


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
