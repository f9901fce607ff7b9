"""Render blocks in a terminal: numbers below each other, words folding, Hangul two columns wide.

Words and signs carry all information; colour and weight only repeat it.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from yoyak.messages import text
from yoyak.report.render.escape import plain
from yoyak.report.sections.blocks import (
    Badge,
    Bar,
    Block,
    Bullets,
    Cell,
    Chart,
    Note,
    SampleBlock,
    SystemTable,
    Table,
    TextPiece,
    Timeline,
    note,
    shown,
    sign,
)

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, Group, RenderableType
    from rich.padding import Padding
    from rich.table import Table as RichTable
    from rich.text import Text

OPEN, CLOSE = "⟦", "⟧"
"""Brackets around a marked piece of text, visible without colour."""
CHOSEN = "→ "
"""Mark before the answer that is submitted."""
STYLES = {"danger": "bold red", "failed": "bold red", "stuck": "bold red", "watch": "yellow"}
_LEAST_WORDS = 12
"""Terminal columns that a column of words keeps before notes are given up."""


def console(stream: TextIO, *, width: int | None = None) -> "Console":
    """Return a console on ``stream``: colour only on a terminal without NO_COLOR, else 80 wide.

    Reads no markup, so that text of models stays text.
    """
    from rich.console import Console

    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False)


def show(blocks: Iterable[Block], stream: TextIO) -> None:
    """Print ``blocks`` to ``stream``; nothing if there are none."""
    if blocks := tuple(blocks):
        console(stream).print(render(blocks))


def render(blocks: Iterable[Block]) -> "Group":
    """Return ``blocks``, tables and samples set apart by blank lines; charts are left out."""
    from rich.console import Group

    parts: list[RenderableType] = []
    for block in blocks:
        if parts and isinstance(block, Table | SampleBlock):
            parts.append("")
        parts += _block(block)
    return Group(*parts)


def _block(block: Block) -> "Iterator[RenderableType]":
    from rich.text import Text

    match block:
        case Table():
            yield TableView(block)
        case SystemTable():
            yield from (TableView(one) for one in block.narrow)
        case Note():
            yield Text(plain(block.text), overflow="fold")
        case Bullets():
            yield from (Text(plain(item), overflow="fold") for item in block.items)
        case SampleBlock():
            yield from _sample(block)
        case Chart() | Timeline():
            pass


# --- tables --------------------------------------------------------------------------------------


class TableView:
    """A table as wide as the terminal allows; use as a renderable of rich.

    The notes of a column of numbers stand in a column of their own. Where they do not fit, those
    without a heading are given up first, from the left; notes of words stand in brackets.

    Args:
        table: what to draw.
        bar_width: most columns of the progress bar beside a cell of kind ``Bar``; 0 draws none.
    """

    def __init__(self, table: Table, *, bar_width: int = 0) -> None:
        self.table = table
        self._bar_width = bar_width

    def __rich_console__(
        self, console: "Console", options: "ConsoleOptions"
    ) -> "Iterator[RenderableType]":
        """Yield the title and the table, with as many notes as fit."""
        from rich.text import Text

        kept = [place for place in range(len(self.table.columns)) if self._has_notes(place)]
        kept.sort(key=lambda place: (not self.table.columns[place].note, -place))
        while kept and self._width(kept, _LEAST_WORDS) > options.max_width:
            kept.pop()
        left = options.max_width - self._width(kept, options.max_width)
        bar = max(min(self._bar_width, left - 2), 0)
        if self.table.title:
            yield Text(plain(self.table.title), style="bold", overflow="fold")
        yield self._drawn(kept, bar)

    def _has_notes(self, place: int) -> bool:
        return self.table.columns[place].is_number and any(
            _note(row[place]) for row in self.table.rows
        )

    def _has_bars(self, place: int) -> bool:
        return any(isinstance(row[place], Bar) for row in self.table.rows)

    def _width(self, kept: Sequence[int], most_words: int) -> int:
        """Return the columns that the table takes with whole numbers, and words cut to a width."""
        from rich.cells import cell_len

        widths = []
        for place, column in enumerate(self.table.columns):
            cells = [row[place] for row in self.table.rows]
            lines = [*column.title.split("\n"), *(_shown(cell) for cell in cells)]
            width = max(map(cell_len, lines), default=0)
            widths.append(width if column.is_number else min(width, most_words))
            if place in kept:
                widths.append(max(map(cell_len, (column.note, *map(_note, cells)))))
        return sum(widths) + 2 * (len(widths) - 1)

    def _drawn(self, kept: Sequence[int], bar: int) -> "RichTable":
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        has_head = any(column.title for column in self.table.columns)
        drawn = RichTable(
            box=box.SIMPLE_HEAD if has_head else None, show_header=has_head, show_edge=False,
            padding=(0, 1 if has_head else 2), pad_edge=False, collapse_padding=True,
        )  # fmt: skip
        lines = max((column.title.count("\n") for column in self.table.columns), default=0)
        for place, column in enumerate(self.table.columns):
            if bar and self._has_bars(place):
                drawn.add_column(no_wrap=True)
            title = "\n".join(map(plain, column.title.split("\n")))
            head = "\n" * (lines - column.title.count("\n")) + title
            drawn.add_column(
                head,
                justify="right" if column.is_number else "left",
                no_wrap=column.is_number,
                overflow="fold",
            )
            if place in kept:
                drawn.add_column("\n" * lines + column.note, justify="right", no_wrap=True)
        for row in self.table.rows:
            cells: list[RenderableType] = []
            for place, cell in enumerate(row):
                is_number = self.table.columns[place].is_number
                cells += [_bar(cell, bar)] if bar and self._has_bars(place) else []
                cells.append(_cell(cell, with_note=not is_number))
                cells += [Text(_note(cell))] if place in kept else []
            drawn.add_row(*cells)
        return drawn


def shortened(words: str, columns: int) -> str:
    """Return ``words`` in at most ``columns`` of a terminal, cut with an ellipsis."""
    from rich.cells import cell_len, set_cell_size

    return words if cell_len(words) <= columns else set_cell_size(words, columns - 1) + "…"


def _note(cell: Cell) -> str:
    return plain(note(cell))


def _shown(cell: Cell) -> str:
    """Return a cell without its note; records are not linked."""
    return f"{sign(cell)} {plain(shown(cell))}" if sign(cell) else plain(shown(cell))


def _cell(cell: Cell, *, with_note: bool) -> "Text":
    from rich.text import Text

    behind = f" ({_note(cell)})" if with_note and _note(cell) else ""
    style = STYLES.get(cell.kind, "") if isinstance(cell, Badge) else ""
    return Text(f"{_shown(cell)}{behind}", style=style)


def _bar(cell: Cell, width: int) -> "RenderableType":
    from rich.progress_bar import ProgressBar

    share = cell.share if isinstance(cell, Bar) else None
    return ProgressBar(total=1.0, completed=share or 0.0, width=width)


# --- texts ---------------------------------------------------------------------------------------


def _sample(block: SampleBlock) -> "Iterator[RenderableType]":
    from rich.padding import Padding
    from rich.text import Text

    yield Text(plain(f"{block.title}: {block.why}"), style="bold")
    for line in block.dialogue:
        yield Padding(Text(plain(line), style="dim"), (0, 0, 0, 2), expand=False)
    for one in block.answers:
        label = f"{CHOSEN if one.chosen else ''}{one.label} {one.score}".rstrip()
        yield _labelled(label, marked(one.pieces))
    for each in block.references:
        yield _labelled(text("report.column-reference"), Text(plain(each)))


def marked(pieces: Iterable[TextPiece]) -> "Text":
    """Return a text with its marked pieces bracketed and underlined."""
    from rich.text import Text

    drawn = Text(
        plain("".join(f"{OPEN}{one.text}{CLOSE}" if one.is_marked else one.text for one in pieces))
    )
    drawn.highlight_regex(f"{OPEN}[^{CLOSE}]*{CLOSE}", "underline")
    return drawn


def _labelled(label: str, words: "Text") -> "Padding":
    """Return a label and its text, every wrapped line indented."""
    from rich.padding import Padding
    from rich.text import Text

    body = words if words.plain else Text("∅")
    return Padding(Text(f"{plain(label)}: ", overflow="fold") + body, (0, 0, 0, 2), expand=False)
