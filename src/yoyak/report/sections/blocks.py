"""Format-independent page model: sections, tables, cells.

Text is stored as recorded; each renderer escapes it on output.
"""

from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from yoyak.messages import text
from yoyak.report.model.report import TimelineSpan


class Link(NamedTuple):
    """Text linked to a workspace record; ``note`` is shown below it or in brackets."""

    shown: str
    record: str
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

_NUMBERS = frozenset(
    {"progress", "rouge1", "rouge2", "rougel", "mean", "interval", "sum", "n", "params", "train",
     "vram", "decode", "difference", "left", "lost", "step", "number", "public", "loss", "rate",
     "pace", "rows-seen", "duration",
     "seconds-each", "tokens", "minutes", "dev",
     "oracle-gain", "other-better", "votes"}
)  # fmt: skip


class TableColumn(NamedTuple):
    """A column's title, and whether it is numeric (right-aligned)."""

    title: str
    is_number: bool


class Table(NamedTuple):
    """Columns and rows of cells; a terminal prints ``title`` above them."""

    columns: tuple[TableColumn, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""


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
    """A chart, by its key in ``report.render.vega.CHARTS``.

    ``part`` is the group of comparable systems that it shows, where it shows scores.
    """

    key: str
    part: int = 0

    @property
    def id(self) -> str:
        """The name of the chart, unique on the page."""
        return f"{self.key}-{self.part}" if self.part else self.key


class SectionBlock(NamedTuple):
    """A span of an answer; ``is_new`` if the reference does not contain it."""

    text: str
    is_new: bool


class AnswerBlock(NamedTuple):
    """One system's answer and its score."""

    system: str
    pieces: tuple[SectionBlock, ...]
    score: str
    chosen: bool = False
    """Whether the blend selected this answer."""


class SampleBlock(NamedTuple):
    """A dialogue with its references and answers; personal data, so it stays local."""

    id: str
    why: str
    dialogue: tuple[str, ...]
    references: tuple[str, ...]
    answers: tuple[AnswerBlock, ...]


Block = Table | Note | Bullets | Timeline | Chart | SampleBlock


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
    heads = tuple(TableColumn(text(f"report.column-{one}"), one in _NUMBERS) for one in columns)
    return (Table(heads, body, title),) if body else ()


def pieces(said: str, reference: str) -> tuple[SectionBlock, ...]:
    """Return ``said`` as spans of words: those in ``reference`` in the same order, and the rest."""
    ours, theirs = said.split(), reference.split()
    matcher = SequenceMatcher(None, theirs, ours, autojunk=False)
    found = (
        SectionBlock(" ".join(ours[start:end]), is_new=kind != "equal")
        for kind, _, _, start, end in matcher.get_opcodes()
    )
    return tuple(piece for piece in found if piece.text)
