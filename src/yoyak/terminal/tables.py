"""The one look of all tables on a terminal: figures at the right, words folding at the left."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from yoyak.report.render.escape import plain

if TYPE_CHECKING:
    from rich.table import Table


def ruled(title: str, headings: Sequence[str], *, left: Collection[int] = (0,)) -> "Table":
    """An empty table; ``left`` are the places of the columns that hold words."""
    from rich import box
    from rich.table import Table

    table = Table(
        title=plain(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
        show_edge=False, padding=(0, 1), pad_edge=False, collapse_padding=True,
    )  # fmt: skip
    for place, heading in enumerate(headings):
        words = place in left
        table.add_column(
            heading,
            justify="left" if words else "right",
            no_wrap=not words,
            overflow="fold",
            vertical="bottom",
        )
    return table
