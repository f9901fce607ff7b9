"""The rules of form: what a submission file must be, whoever wrote it.

Each rule is a pure function of the file and the evidence. It finds nothing, or the rows at fault.
"""

import csv
from collections import Counter
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import NamedTuple

from yoyak.data.encoding import looks_like
from yoyak.submission import text_rules
from yoyak.submission.context import SubmittedAnswer, ValidationContext
from yoyak.submission.csv_format import CsvRecord, CsvTable, read_table, write
from yoyak.values import Value


class RuleSeverity(StrEnum):
    """An error refuses the file; a warning is shown."""

    ERROR = "error"
    WARNING = "warning"


class Location(Value, frozen=True, kw_only=True):
    """Where a rule was broken: the row (1 is the first after the header, 0 the header), its id."""

    row: int
    id: str
    found: str


class RuleFinding(NamedTuple):
    """What a rule found; ``fields`` fill the placeholders of its sentence."""

    places: tuple[Location, ...]
    fields: dict[str, str]
    severity: RuleSeverity | None = None


class ParsedSubmission(NamedTuple):
    """A file that was read: its records, and the answers found in them."""

    table: CsvTable
    answers: tuple[SubmittedAnswer, ...]


class SubmissionRule(NamedTuple):
    """One line of the table; the sentence is ``final.rule-NAME``."""

    name: str
    find: Callable[[ParsedSubmission, ValidationContext], RuleFinding | None]
    severity: RuleSeverity = RuleSeverity.ERROR


def read_filing(table: CsvTable, evidence: ValidationContext) -> ParsedSubmission:
    """The answers of a table: by the columns' names, else at the sample's positions."""
    layout, header = evidence.layout, table.header.cells
    id_name, answer_name = (
        layout.table.header.cells[at] for at in (layout.id_at, layout.answer_at)
    )
    id_at, answer_at = layout.id_at, layout.answer_at
    if header.count(id_name) == header.count(answer_name) == 1:
        id_at, answer_at = header.index(id_name), header.index(answer_name)
    answers = tuple(
        SubmittedAnswer(record.number, record.cells[id_at], record.cells[answer_at])
        for record in table.records
        if len(record.cells) > max(id_at, answer_at)
    )
    return ParsedSubmission(table, answers)


def finding(places: Iterable[Location], **fields: object) -> RuleFinding | None:
    """A finding where there is at least one place."""
    kept = tuple(places)
    named = {name: str(value) for name, value in fields.items()}
    return RuleFinding(kept, named) if kept else None


# --- the file ------------------------------------------------------------------------------------


def _whole(found: object) -> Location:
    return Location(row=0, id="", found=str(found))


def _bom(filing: ParsedSubmission, evidence: ValidationContext) -> RuleFinding | None:
    wanted = evidence.layout.table.bom
    differs = filing.table.bom != wanted
    return finding([_whole(filing.table.bom)] if differs else [], expected=wanted)


def _header(filing: ParsedSubmission, evidence: ValidationContext) -> RuleFinding | None:
    wanted = evidence.layout.table.header.cells
    found = filing.table.header.cells
    return finding([_whole(",".join(found))] if found != wanted else [], expected=",".join(wanted))


def _newline(filing: ParsedSubmission, evidence: ValidationContext) -> RuleFinding | None:
    wanted = evidence.layout.newline
    records = (filing.table.header, *filing.table.records)[: -1 if filing.table.records else None]
    unlike = (record for record in records if record.ending != wanted)
    return finding((_at(record, repr(record.ending)) for record in unlike), expected=repr(wanted))


def _last_newline(filing: ParsedSubmission, evidence: ValidationContext) -> RuleFinding | None:
    last = (filing.table.header, *filing.table.records)[-1]
    wanted = evidence.layout.newline if evidence.layout.closed else ""
    differs = last.ending != wanted
    return finding([_at(last, repr(last.ending))] if differs else [], expected=repr(wanted))


def _at(record: CsvRecord, found: str) -> Location:
    return Location(row=record.number, id=_id_like(record), found=found)


def _id_like(record: CsvRecord) -> str:
    return next((cell for cell in record.cells[:2] if "_" in cell), "")


def _column_count(filing: ParsedSubmission, evidence: ValidationContext) -> RuleFinding | None:
    wanted = len(evidence.layout.table.header.cells)
    unlike = (record for record in filing.table.records if len(record.cells) != wanted)
    return finding((_at(record, str(len(record.cells))) for record in unlike), expected=wanted)


def _row_count(filing: ParsedSubmission, evidence: ValidationContext) -> RuleFinding | None:
    wanted, found = len(evidence.layout.ids), len(filing.table.records)
    return finding([_whole(found)] if found != wanted else [], expected=wanted)


def _quoting(filing: ParsedSubmission, evidence: ValidationContext) -> RuleFinding | None:
    plain = evidence.layout._replace(table=evidence.layout.table._replace(bom=False))
    return finding(
        _at(record, record.raw.rstrip("\r\n")[:40])
        for record in (filing.table.header, *filing.table.records)
        if record.raw.removesuffix(record.ending)
        != write(plain._replace(closed=False, newline="\n"), [record.cells])
    )


# --- ids -----------------------------------------------------------------------------------------


def _missing(filing: ParsedSubmission, evidence: ValidationContext) -> RuleFinding | None:
    there = {answer.id for answer in filing.answers}
    wanted = enumerate(evidence.layout.ids, 1)
    return finding(Location(row=at, id=name, found="") for at, name in wanted if name not in there)


def _unknown(filing: ParsedSubmission, evidence: ValidationContext) -> RuleFinding | None:
    known = set(evidence.layout.ids)
    return _answers(filing, lambda answer: None if answer.id in known else answer.id)


def _repeated(filing: ParsedSubmission, _: ValidationContext) -> RuleFinding | None:
    times = Counter(answer.id for answer in filing.answers)
    return _answers(filing, lambda answer: f"×{times[answer.id]}" if times[answer.id] > 1 else None)


def _order(filing: ParsedSubmission, evidence: ValidationContext) -> RuleFinding | None:
    ids = [answer.id for answer in filing.answers]
    wanted = evidence.layout.ids
    if sorted(ids) != sorted(wanted):
        return None  # another rule's case: without the right ids there is no right order
    pairs = zip(filing.answers, wanted, strict=True)
    return finding(
        Location(row=answer.row, id=answer.id, found=f"≠ {name}")
        for answer, name in pairs
        if answer.id != name
    )


def _other_cells(filing: ParsedSubmission, evidence: ValidationContext) -> RuleFinding | None:
    """Cells beside id and answer (the index) must be the sample's for that id."""
    layout = evidence.layout
    wanted = {record.cells[layout.id_at]: layout.row(record, "") for record in layout.records}
    width = len(layout.table.header.cells)
    rows = [record for record in filing.table.records if len(record.cells) == width]
    return finding(
        Location(row=record.number, id=name, found=", ".join(record.cells[: layout.id_at]))
        for record in rows
        if (name := record.cells[layout.id_at]) in wanted and layout.row(record, "") != wanted[name]
    )


# --- one summary ---------------------------------------------------------------------------------


def _answers(
    filing: ParsedSubmission, holds: Callable[[SubmittedAnswer], str | None]
) -> RuleFinding | None:
    return finding(
        Location(row=answer.row, id=answer.id, found=found)
        for answer in filing.answers
        if (found := holds(answer)) is not None
    )


def _text(name: str, trait: Callable[[str], str | None], severity: RuleSeverity) -> SubmissionRule:
    def find(filing: ParsedSubmission, _: ValidationContext) -> RuleFinding | None:
        return _answers(filing, lambda answer: trait(answer.text))

    return SubmissionRule(name, find, severity)


def _prompt_echo(filing: ParsedSubmission, evidence: ValidationContext) -> RuleFinding | None:
    return _answers(
        filing, lambda answer: text_rules.prompt_echo(answer.text, evidence.instructions)
    )


def _placeholder(filing: ParsedSubmission, evidence: ValidationContext) -> RuleFinding | None:
    sample = evidence.layout.placeholder
    return _answers(filing, lambda answer: answer.text if answer.text == sample else None)


# --- bytes ---------------------------------------------------------------------------------------


def decoded(data: bytes) -> str | RuleFinding:
    """The text of a file, or why it is not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start)
        looks = looks_like(data) or f"0x{data[error.start]:02X}"
        return RuleFinding((Location(row=row, id="", found=looks),), {})


def parsed(text: str) -> CsvTable | RuleFinding:
    """The records of a text, or why it is no CSV."""
    try:
        return read_table(text)
    except csv.Error as error:
        return RuleFinding((Location(row=0, id="", found=str(error)),), {})


FORM = (
    SubmissionRule("byte-order-mark", _bom),
    SubmissionRule("header", _header),
    SubmissionRule("newline", _newline),
    SubmissionRule("last-newline", _last_newline),
    SubmissionRule("column-count", _column_count),
    SubmissionRule("row-count", _row_count),
    SubmissionRule("quoting", _quoting),
    SubmissionRule("id-missing", _missing),
    SubmissionRule("id-unknown", _unknown),
    SubmissionRule("id-repeated", _repeated),
    SubmissionRule("order", _order),
    SubmissionRule("index", _other_cells),
    _text("empty", text_rules.empty, RuleSeverity.ERROR),
    _text("nan", text_rules.nan_like, RuleSeverity.ERROR),
    _text("line-break", text_rules.line_break, RuleSeverity.ERROR),
    _text("edge-blank", text_rules.edge_blank, RuleSeverity.ERROR),
    _text("model-token", text_rules.model_token, RuleSeverity.ERROR),
    _text("control-character", text_rules.control_character, RuleSeverity.ERROR),
    SubmissionRule("prompt-echo", _prompt_echo),
    SubmissionRule("placeholder", _placeholder),
    _text("literal-break", text_rules.literal_break, RuleSeverity.WARNING),
)
"""The rules of form, in the order in which they are shown."""
