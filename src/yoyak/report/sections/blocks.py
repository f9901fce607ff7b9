"""The content of reports and of terminal views, independent of the output format.

Sections build these values once; ``report.render.html``, ``report.render.markdown`` and
``terminal.render`` draw them. Text is stored as recorded; each renderer escapes it.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from yoyak.messages import text
from yoyak.report.model.report import TimelineSpan


class Link(NamedTuple):
    """Text linked to a workspace record; ``note`` is shown beside or below it."""

    shown: str
    record: str = ""
    note: str = ""


class CodeBlock(NamedTuple):
    """Text to type or to compare character by character, such as a command."""

    shown: str


class Badge(NamedTuple):
    """A state as a word; ``kind`` selects a sign and colour, never shown without the word."""

    kind: str
    shown: str
    note: str = ""


class Checked(NamedTuple):
    """Result of a check in the default text colour, preceded by the sign of ``kind``."""

    kind: str
    shown: str


class Bar(NamedTuple):
    """Progress as text and, if ``share`` (0 to 1) is known, as a bar."""

    shown: str
    share: float | None


Cell = str | Link | CodeBlock | Badge | Checked | Bar

SIGNS = {
    "finished": "✔",
    "running": "▶",
    "queued": "○",
    "slow": "◆",
    "stuck": "✖",
    "interrupted": "◆",
    "stopped": "■",
    "failed": "✖",
    "better": "▲",
    "worse": "▼",
    "as_good": "≥",
    "not_proven": "≈",
    "ok": "✔",
    "watch": "◆",
    "danger": "✖",
}
"""One sign for each kind of badge."""


def shown(cell: Cell) -> str:
    """Return the text of a cell, without its sign, note or link."""
    return cell if isinstance(cell, str) else cell.shown


def sign(cell: Cell) -> str:
    """Return the sign before the text of a cell; empty for most."""
    return SIGNS[cell.kind] if isinstance(cell, Badge | Checked) else ""


def note(cell: Cell) -> str:
    """Return the note of a cell; empty for most."""
    return cell.note if isinstance(cell, Link | Badge) else ""


_WORDS = frozenset(
    {"about", "answer", "at", "base", "by", "candidate", "check", "command", "decoding", "end",
     "fact", "file", "front", "kind", "label", "level", "licence", "measure", "method", "origin",
     "pair", "path", "precision", "property", "proved", "recipe", "setting", "setting-value",
     "settings", "sha256", "stage", "start", "status", "study", "system", "tied", "tile", "value",
     "verdict", "what", "what-is-wrong", "why"}
)  # fmt: skip
"""Columns of words, which may wrap; all others hold numbers: right-aligned and never wrapped."""

_NOTES = dict.fromkeys(("mean", "difference", "marginal"), "interval")
"""Columns whose notes have a heading of their own."""

_SYSTEMS = frozenset({"candidate", "system"})
"""Columns of systems' names, which have the systems' colours."""


class TableColumn(NamedTuple):
    """A column; ``note`` is the heading of its cells' notes where they stand beside the values."""

    title: str
    is_number: bool = False
    note: str = ""
    names_systems: bool = False


class Table(NamedTuple):
    """Columns and rows of cells; a table without column titles has no head."""

    columns: tuple[TableColumn, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""


class SystemColumn(NamedTuple):
    """A column of a system table; one that is not ``shown`` is there for the reader to choose."""

    key: str
    title: str
    is_number: bool
    shown: bool


class SystemRow(NamedTuple):
    """A row of a system table; ``values`` are what its columns are sorted by."""

    cells: tuple[Cell, ...]
    values: tuple[float | str | None, ...]
    is_floor: bool = False


class SystemTable(NamedTuple):
    """All columns of all systems, to be sorted and chosen from; ``narrow`` says it elsewhere."""

    columns: tuple[SystemColumn, ...]
    rows: tuple[SystemRow, ...]
    narrow: tuple[Table, ...]


class Note(NamedTuple):
    """A paragraph."""

    text: str


class Bullets(NamedTuple):
    """A list."""

    items: tuple[str, ...]


class Timeline(NamedTuple):
    """The runs' time spans as bars."""

    spans: tuple[TimelineSpan, ...]


class Chart(NamedTuple):
    """A chart, by its key in ``report.render.charts.CHARTS``.

    ``part`` is the group of comparable systems that it shows, where it shows scores.
    """

    key: str
    part: int = 0
    data: str = ""
    """What the part is of, where there are several: data, or a stage."""

    @property
    def id(self) -> str:
        """The name of the chart, unique on the page."""
        return f"{self.key}-{self.part}" if self.part else self.key


class TextPiece(NamedTuple):
    """Part of a text; a marked one is what the reader should look at."""

    text: str
    is_marked: bool = False


class AnswerBlock(NamedTuple):
    """A text with a label, such as one system's answer and its score."""

    label: str
    pieces: tuple[TextPiece, ...]
    score: str = ""
    chosen: bool = False
    """Whether the ensemble selected this answer."""


class SampleBlock(NamedTuple):
    """Texts under a heading: a dialogue with its references and answers, or texts with one fault.

    Personal data, so it stays local.
    """

    title: str
    why: str
    dialogue: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    answers: tuple[AnswerBlock, ...] = ()


Block = Table | SystemTable | Note | Bullets | Timeline | Chart | SampleBlock


class Section(NamedTuple):
    """A heading and its blocks."""

    key: str
    title: str
    blocks: tuple[Block, ...]

    @property
    def rows(self) -> int:
        """Return the total number of table rows."""
        return sum(len(block.rows) for block in self.blocks if isinstance(block, Table))


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Cell]], title: str = ""
) -> tuple[Table, ...]:
    """Return a table with the titles ``report.column-NAME``; empty if there are no rows."""
    body = tuple(tuple(row) for row in rows)
    heads = tuple(
        TableColumn(
            text(f"report.column-{one}"),
            one not in _WORDS,
            text(f"report.column-{_NOTES[one]}") if one in _NOTES else "",
            one in _SYSTEMS,
        )
        for one in columns
    )
    return (Table(heads, body, title),) if body else ()
