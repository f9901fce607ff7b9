"""Format rules: what a submission file must be, whoever wrote it.

Each rule is a pure function of the file and the context that returns the rows at fault, or none.
"""

import csv
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from yoyak.data.encoding import looks_like
from yoyak.submission import text_rules
from yoyak.submission.context import SubmittedAnswer, ValidationContext
from yoyak.submission.csv_format import CsvRecord, CsvTable, read_table, write
from yoyak.values import Severity, Value


class Location(Value, frozen=True, kw_only=True):
    """Where a rule is broken: the row (1 is the first after the header, which is 0) and its id."""

    row: int
    id: str
    found: str


class RuleFinding(NamedTuple):
    """The rows at fault; ``fields`` fill the placeholders of the rule's sentence."""

    places: tuple[Location, ...]
    fields: dict[str, str]
    severity: Severity | None = None


class ParsedSubmission(NamedTuple):
    """A parsed file: its records, and the answers found in them."""

    table: CsvTable
    answers: tuple[SubmittedAnswer, ...]


class SubmissionRule(NamedTuple):
    """One rule; its sentence is ``submission.rule-NAME``."""

    name: str
    find: Callable[[ParsedSubmission, ValidationContext], RuleFinding | None]
    severity: Severity = Severity.ERROR


def parse_submission(table: CsvTable, context: ValidationContext) -> ParsedSubmission:
    """Find the answers of a table by the columns' names, else at the sample's positions."""
    csv_format, header = context.csv_format, table.header.cells
    id_name, answer_name = (
        csv_format.table.header.cells[at] for at in (csv_format.id_at, csv_format.answer_at)
    )
    id_at, answer_at = csv_format.id_at, csv_format.answer_at
    if header.count(id_name) == header.count(answer_name) == 1:
        id_at, answer_at = header.index(id_name), header.index(answer_name)
    answers = tuple(
        SubmittedAnswer(record.number, record.cells[id_at], record.cells[answer_at])
        for record in table.records
        if len(record.cells) > max(id_at, answer_at)
    )
    return ParsedSubmission(table, answers)


def finding(places: Iterable[Location], **fields: object) -> RuleFinding | None:
    """Build a finding; ``None`` if there are no places."""
    kept = tuple(places)
    named = {name: str(value) for name, value in fields.items()}
    return RuleFinding(kept, named) if kept else None


# --- the file ------------------------------------------------------------------------------------


def _whole(found: object) -> Location:
    return Location(row=0, id="", found=str(found))


def _bom(submission: ParsedSubmission, context: ValidationContext) -> RuleFinding | None:
    wanted = context.csv_format.table.bom
    differs = submission.table.bom != wanted
    return finding([_whole(submission.table.bom)] if differs else [], expected=wanted)


def _header(submission: ParsedSubmission, context: ValidationContext) -> RuleFinding | None:
    wanted = context.csv_format.table.header.cells
    found = submission.table.header.cells
    return finding([_whole(",".join(found))] if found != wanted else [], expected=",".join(wanted))


def _newline(submission: ParsedSubmission, context: ValidationContext) -> RuleFinding | None:
    wanted = context.csv_format.newline
    records = (submission.table.header, *submission.table.records)[
        : -1 if submission.table.records else None
    ]
    unlike = (record for record in records if record.ending != wanted)
    return finding((_at(record, repr(record.ending)) for record in unlike), expected=repr(wanted))


def _last_newline(submission: ParsedSubmission, context: ValidationContext) -> RuleFinding | None:
    last = (submission.table.header, *submission.table.records)[-1]
    wanted = context.csv_format.newline if context.csv_format.closed else ""
    differs = last.ending != wanted
    return finding([_at(last, repr(last.ending))] if differs else [], expected=repr(wanted))


def _at(record: CsvRecord, found: str) -> Location:
    return Location(row=record.number, id=_id_like(record), found=found)


def _id_like(record: CsvRecord) -> str:
    return next((cell for cell in record.cells[:2] if "_" in cell), "")


def _column_count(submission: ParsedSubmission, context: ValidationContext) -> RuleFinding | None:
    wanted = len(context.csv_format.table.header.cells)
    unlike = (record for record in submission.table.records if len(record.cells) != wanted)
    return finding((_at(record, str(len(record.cells))) for record in unlike), expected=wanted)


def _row_count(submission: ParsedSubmission, context: ValidationContext) -> RuleFinding | None:
    wanted, found = len(context.csv_format.ids), len(submission.table.records)
    return finding([_whole(found)] if found != wanted else [], expected=wanted)


def _quoting(submission: ParsedSubmission, context: ValidationContext) -> RuleFinding | None:
    plain = context.csv_format._replace(table=context.csv_format.table._replace(bom=False))
    return finding(
        _at(record, record.raw.rstrip("\r\n")[:40])
        for record in (submission.table.header, *submission.table.records)
        if record.raw.removesuffix(record.ending)
        != write(plain._replace(closed=False, newline="\n"), [record.cells])
    )


# --- ids -----------------------------------------------------------------------------------------


def _missing(submission: ParsedSubmission, context: ValidationContext) -> RuleFinding | None:
    there = {answer.id for answer in submission.answers}
    wanted = enumerate(context.csv_format.ids, 1)
    return finding(Location(row=at, id=name, found="") for at, name in wanted if name not in there)


def _unknown(submission: ParsedSubmission, context: ValidationContext) -> RuleFinding | None:
    known = set(context.csv_format.ids)
    return _answers(submission, lambda answer: None if answer.id in known else answer.id)


def _repeated(submission: ParsedSubmission, _: ValidationContext) -> RuleFinding | None:
    times = Counter(answer.id for answer in submission.answers)
    return _answers(
        submission, lambda answer: f"×{times[answer.id]}" if times[answer.id] > 1 else None
    )


def _order(submission: ParsedSubmission, context: ValidationContext) -> RuleFinding | None:
    ids = [answer.id for answer in submission.answers]
    wanted = context.csv_format.ids
    if sorted(ids) != sorted(wanted):
        return None  # another rule's case: without the right ids there is no right order
    pairs = zip(submission.answers, wanted, strict=True)
    return finding(
        Location(row=answer.row, id=answer.id, found=f"≠ {name}")
        for answer, name in pairs
        if answer.id != name
    )


def _other_cells(submission: ParsedSubmission, context: ValidationContext) -> RuleFinding | None:
    """Check that cells beside id and answer (the index) are the sample's for that id."""
    csv_format = context.csv_format
    wanted = {
        record.cells[csv_format.id_at]: csv_format.row(record, "") for record in csv_format.records
    }
    width = len(csv_format.table.header.cells)
    rows = [record for record in submission.table.records if len(record.cells) == width]
    return finding(
        Location(row=record.number, id=name, found=", ".join(record.cells[: csv_format.id_at]))
        for record in rows
        if (name := record.cells[csv_format.id_at]) in wanted
        and csv_format.row(record, "") != wanted[name]
    )


# --- one summary ---------------------------------------------------------------------------------


def _answers(
    submission: ParsedSubmission, holds: Callable[[SubmittedAnswer], str | None]
) -> RuleFinding | None:
    return finding(
        Location(row=answer.row, id=answer.id, found=found)
        for answer in submission.answers
        if (found := holds(answer)) is not None
    )


def _text(name: str, check: Callable[[str], str | None], severity: Severity) -> SubmissionRule:
    def find(submission: ParsedSubmission, _: ValidationContext) -> RuleFinding | None:
        return _answers(submission, lambda answer: check(answer.text))

    return SubmissionRule(name, find, severity)


def _prompt_echo(submission: ParsedSubmission, context: ValidationContext) -> RuleFinding | None:
    return _answers(
        submission, lambda answer: text_rules.prompt_echo(answer.text, context.instructions)
    )


def _placeholder(submission: ParsedSubmission, context: ValidationContext) -> RuleFinding | None:
    sample = context.csv_format.placeholder
    return _answers(submission, lambda answer: answer.text if answer.text == sample else None)


# --- bytes ---------------------------------------------------------------------------------------


def decode_utf8(data: bytes) -> str | RuleFinding:
    """Decode a file, or find where it is not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start)
        looks = looks_like(data) or f"0x{data[error.start]:02X}"
        return RuleFinding((Location(row=row, id="", found=looks),), {})


def parse_csv(text: str) -> CsvTable | RuleFinding:
    """Parse a text as CSV, or find why it is none."""
    try:
        return read_table(text)
    except csv.Error as error:
        return RuleFinding((Location(row=0, id="", found=str(error)),), {})


FORMAT_RULES = (
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
    _text("empty", text_rules.empty, Severity.ERROR),
    _text("nan", text_rules.nan_like, Severity.ERROR),
    _text("line-break", text_rules.line_break, Severity.ERROR),
    _text("edge-blank", text_rules.edge_blank, Severity.ERROR),
    _text("model-token", text_rules.model_token, Severity.ERROR),
    _text("control-character", text_rules.control_character, Severity.ERROR),
    _text("decomposed", text_rules.decomposed, Severity.ERROR),
    SubmissionRule("prompt-echo", _prompt_echo),
    SubmissionRule("placeholder", _placeholder),
    _text("literal-break", text_rules.literal_break, Severity.WARNING),
)
"""All format rules, in the order in which they are reported."""
