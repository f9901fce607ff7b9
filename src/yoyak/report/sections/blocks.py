"""What a page is made of, before it is Markdown or HTML: sections, tables, cells.

Text in here is as recorded; each rendering escapes it on its way out.
"""

from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from yoyak.messages import text
from yoyak.report.model.values import TimelineSpan


class Link(NamedTuple):
    """Text that leads to a record of the workspace; ``note`` stands below it or in brackets."""

    shown: str
    record: str
    note: str = ""


class CodeBlock(NamedTuple):
    """Something to type, or to compare letter by letter."""

    shown: str


class Badge(NamedTuple):
    """A state as a word; ``kind`` chooses its sign and colour, which never stand alone."""

    kind: str
    shown: str
    note: str = ""


class Checked(NamedTuple):
    """What a check found, in the text's own colour behind the sign of ``kind``."""

    kind: str
    shown: str


class Bar(NamedTuple):
    """How far something is, in words and, where ``share`` (0 to 1) is known, as a bar."""

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
    """A column's title, and whether it holds numbers (which stand at its right)."""

    title: str
    is_number: bool


class Table(NamedTuple):
    """Rows of cells below their columns; a terminal shows ``title`` above them."""

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
    """The runs' stretches of time as bars."""

    spans: tuple[TimelineSpan, ...]


class Chart(NamedTuple):
    """A chart of the table ``report.charts.CHARTS``."""

    key: str


class SectionBlock(NamedTuple):
    """A stretch of an answer; ``is_new`` where the reference does not say it."""

    text: str
    is_new: bool


class AnswerBlock(NamedTuple):
    """What one system said, beside its score."""

    system: str
    pieces: tuple[SectionBlock, ...]
    score: str
    chosen: bool = False
    """The blend's choice."""


class SampleBlock(NamedTuple):
    """A dialogue with its references and answers; it holds people's words, so it stays local."""

    id: str
    why: str
    dialogue: tuple[str, ...]
    references: tuple[str, ...]
    answers: tuple[AnswerBlock, ...]


Block = Table | Note | Bullets | Timeline | Chart | SampleBlock


class Section(NamedTuple):
    """A heading and what stands below it."""

    key: str
    title: str
    blocks: tuple[Block, ...]

    @property
    def rows(self) -> int:
        """How many rows its tables have."""
        return sum(len(block.rows) for block in self.blocks if isinstance(block, Table))


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Cell]], title: str = ""
) -> tuple[Table, ...]:
    """Return a table with the titles ``report.column-NAME``; nothing where there are no rows."""
    body = tuple(tuple(row) for row in rows)
    heads = tuple(TableColumn(text(f"report.column-{one}"), one in _NUMBERS) for one in columns)
    return (Table(heads, body, title),) if body else ()


def pieces(said: str, reference: str) -> tuple[SectionBlock, ...]:
    """``said`` in stretches of words: those that ``reference`` has in this order, and the rest."""
    ours, theirs = said.split(), reference.split()
    matcher = SequenceMatcher(None, theirs, ours, autojunk=False)
    found = (
        SectionBlock(" ".join(ours[start:end]), is_new=kind != "equal")
        for kind, _, _, start, end in matcher.get_opcodes()
    )
    return tuple(piece for piece in found if piece.text)
