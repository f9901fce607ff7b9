"""Draw tables on a terminal: numbers right-aligned, words folding, Hangul two columns wide."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from yoyak.report.render.escape import plain
from yoyak.report.sections import blocks
from yoyak.report.sections.blocks import SIGNS, Badge, Bar, Cell, Checked, CodeBlock, Link

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text


def ruled(title: str, headings: Sequence[str], *, left: Collection[int] = (0,)) -> "Table":
    """Return an empty table; ``left`` holds the indexes of the left-aligned columns."""
    from rich import box
    from rich.table import Table

    table = Table(
        title=plain(title) or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
        show_edge=False, padding=(0, 1), pad_edge=False, collapse_padding=True,
    )  # fmt: skip
    lines = max((heading.count("\n") for heading in headings), default=0)
    for place, heading in enumerate(headings):
        words = place in left
        table.add_column(
            "\n" * (lines - heading.count("\n")) + heading,
            justify="left" if words else "right",
            no_wrap=not words,
            overflow="fold",
        )
    return table


_STYLES = {"danger": "bold red", "failed": "bold red", "watch": "yellow"}


def draw(block: blocks.Table, *, notes: bool = True) -> "Table":
    """Return a report's table for a terminal, with the notes of its cells if ``notes``."""
    left = [place for place, column in enumerate(block.columns) if not column.is_number]
    table = ruled(block.title, [column.title for column in block.columns], left=left)
    for row in block.rows:
        table.add_row(*(_cell(one, notes) for one in row))
    return table


def _cell(cell: Cell, notes: bool) -> "Text":
    """Return a cell as text: records are not linked, notes are in brackets."""
    from rich.text import Text

    match cell:
        case Link(shown=shown, note=note) if note and notes:
            return Text(f"{plain(shown)} ({plain(note)})")
        case Badge(kind=kind, shown=shown, note=note):
            behind = f" ({plain(note)})" if note and notes else ""
            return Text(f"{SIGNS[kind]} {plain(shown)}{behind}", style=_STYLES.get(kind, ""))
        case Checked(kind=kind, shown=shown):
            return Text(f"{SIGNS[kind]} {plain(shown)}")
        case Link(shown=shown) | CodeBlock(shown=shown) | Bar(shown=shown):
            return Text(plain(shown))
        case str():
            return Text(plain(cell))
