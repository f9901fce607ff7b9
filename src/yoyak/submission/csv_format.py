"""The CSV format of a submission, taken from the sample, and a lenient reader of any CSV file."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from yoyak.errors import BadData

CELL_LIMIT = 131_072
"""Characters of a cell that Python's csv module reads unless it is told otherwise."""

BOM = "\ufeff"
ID = "fname"
ANSWER = "summary"


class CsvRecord(NamedTuple):
    """One CSV record; ``number`` counts from 1 after the header, ``raw`` is it as written."""

    number: int
    cells: tuple[str, ...]
    raw: str

    @property
    def ending(self) -> str:
        """The line end that closes the record; empty where the file just stops."""
        return self.raw[len(self.raw.rstrip("\r\n")) :]


class CsvTable(NamedTuple):
    """A decoded file: byte order mark, header and records; nothing is validated here."""

    bom: bool
    header: CsvRecord
    records: tuple[CsvRecord, ...]


class CsvFormat(NamedTuple):
    """The format that a submission must have: that of the sample.

    ``ids`` are in the order of the sample; ``placeholder`` is the text that every row of the
    sample holds, or ``None`` where its rows differ.
    """

    table: CsvTable
    newline: str
    closed: bool
    quoting: int
    ids: tuple[str, ...]
    id_at: int
    answer_at: int
    placeholder: str | None

    def render(self, answers: Mapping[str, str]) -> bytes:
        """Render a submission: the sample with ``answers`` (id to summary) in place of its texts.

        Raises:
            KeyError: an id of the sample has no answer.
        """
        rows = [self.row(record, answers[record.cells[self.id_at]]) for record in self.records]
        return write(self, [self.table.header.cells, *rows]).encode()

    @property
    def records(self) -> tuple[CsvRecord, ...]:
        """The sample's records."""
        return self.table.records

    def row(self, record: CsvRecord, answer: str) -> tuple[str, ...]:
        """Replace the text of a record of the sample."""
        return (*record.cells[: self.answer_at], answer, *record.cells[self.answer_at + 1 :])


def write(csv_format: CsvFormat, rows: Sequence[Sequence[str]]) -> str:
    """Write rows as CSV text in this format's quoting, line end and byte order mark."""
    text = _csv(rows, csv_format.quoting, csv_format.newline)
    text = text if csv_format.closed else text.removesuffix(csv_format.newline)
    return BOM + text if csv_format.table.bom else text


def _csv(rows: Sequence[Sequence[str]], quoting: int, newline: str) -> str:
    stream = io.StringIO(newline="")
    # csv.QUOTE_MINIMAL is what pandas writes, and the sample with it.
    csv.writer(stream, quoting=quoting, lineterminator=newline).writerows(rows)  # type: ignore[arg-type]
    return stream.getvalue()


def read_table(text: str) -> CsvTable:
    """Read any CSV text as records with their raw lines, as leniently as Python's csv module does.

    Raises:
        csv.Error: a cell is longer than a grader's csv module reads.
    """
    lines = _Lines(text.removeprefix(BOM))
    records = [
        CsvRecord(number, tuple(cells), lines.consumed())
        for number, cells in enumerate(csv.reader(lines))
    ]
    _refuse_long_cells(records)
    header = records[0] if records else CsvRecord(0, (), "")
    return CsvTable(text.startswith(BOM), header, tuple(records[1:]))


def _refuse_long_cells(records: Sequence[CsvRecord]) -> None:
    # The module's own limit is one setting for the whole process, which reading data raises.
    longest = max((len(cell) for record in records for cell in record.cells), default=0)
    if longest > CELL_LIMIT:
        raise csv.Error(f"field larger than field limit ({CELL_LIMIT})")


class _Lines:
    """Feed lines to the CSV reader and keep those that the last record consumed."""

    def __init__(self, text: str) -> None:
        self._stream = io.StringIO(text, newline="")
        self._consumed: list[str] = []

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = next(self._stream)
        self._consumed.append(line)
        return line

    def consumed(self) -> str:
        raw = "".join(self._consumed)
        self._consumed.clear()
        return raw


def read_csv_format(sample: bytes) -> CsvFormat:
    """Read the format of a sample submission.

    Raises:
        BadData: the sample is no UTF-8 CSV with the columns fname and summary and unique ids.
    """
    try:
        table = read_table(sample.decode())
    except (UnicodeDecodeError, csv.Error) as error:
        raise _unusable(str(error)) from error
    header = table.header.cells
    if header.count(ID) != 1 or header.count(ANSWER) != 1:
        raise _unusable(f"{','.join(header)!r} ≠ …{ID},{ANSWER}")
    uneven = [record.number for record in table.records if len(record.cells) != len(header)]
    if uneven or not table.records:
        raise _unusable(f"row {uneven[0]}" if uneven else "0 rows")
    return _format_of(table, sample.decode())


def _format_of(table: CsvTable, text: str) -> CsvFormat:
    id_at, answer_at = table.header.cells.index(ID), table.header.cells.index(ANSWER)
    ids = tuple(record.cells[id_at] for record in table.records)
    texts = {record.cells[answer_at] for record in table.records}
    if len(set(ids)) != len(ids):
        raise _unusable("duplicate fname")
    csv_format = CsvFormat(
        table=table,
        newline=table.header.ending,
        closed=text.endswith(("\n", "\r")),
        quoting=csv.QUOTE_MINIMAL,
        ids=ids,
        id_at=id_at,
        answer_at=answer_at,
        placeholder=texts.pop() if len(texts) == 1 else None,
    )
    rows = [table.header.cells, *(record.cells for record in table.records)]
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL):
        candidate = csv_format._replace(quoting=quoting)
        if write(candidate, rows) == text:
            return candidate
    raise _unusable("quoting")


def _unusable(problem: str) -> BadData:
    return BadData("submission.sample-unusable", problem=problem)


def contest_sample(ids: Sequence[str]) -> bytes:
    """Build the sample as the contest publishes it, for data folders that have none.

    Columns: an unnamed index from 0, fname, summary; UTF-8, line feeds, minimal quoting.
    """
    rows = [("", ID, ANSWER), *((str(at), name, "…") for at, name in enumerate(ids))]
    return _csv(rows, csv.QUOTE_MINIMAL, "\n").encode()
