"""Draw the results of ``yoyak check``: a sign and a word on each line, never colour alone."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from yoyak.messages import text
from yoyak.report.render.escape import plain
from yoyak.system.doctor import CheckLine, CheckStatus

if TYPE_CHECKING:
    from rich.table import Table

SIGNS = {CheckStatus.OK: "✓", CheckStatus.WARN: "!", CheckStatus.BAD: "✗"}
_STYLES = {CheckStatus.WARN: "yellow", CheckStatus.BAD: "bold red"}


def draw(lines: Sequence[CheckLine]) -> "Table":
    """Return the lines as a table, with the command that fixes a problem below it."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for line in lines:
        sign = f"{SIGNS[line.status]} {text(f'report.check-{line.status.value}')}"
        found = plain(line.found)
        if line.next_step is not None:
            found = f"{found}\n→ {plain(line.next_step)}"
        table.add_row(sign, line.name, found, style=_STYLES.get(line.status))
    return table
