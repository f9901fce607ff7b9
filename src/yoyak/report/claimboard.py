"""What the linter found in a stated report, for a person and for a program."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from yoyak.messages import text
from yoyak.report.model.values import ReportFinding
from yoyak.report.render.escape import plain

if TYPE_CHECKING:
    from rich.console import RenderableType


def draw(found: Sequence[ReportFinding]) -> "RenderableType":
    """The rule and what does not hold, one below the other; or that everything does."""
    from rich.table import Table

    if not found:
        return text("report.claims-hold")
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for one in found:
        table.add_row(f"✗ {one.rule}", plain(one.what.text))
    return table


def encode(found: Sequence[ReportFinding]) -> str:
    """``[{"rule": …, "record": …, "text": …}]``."""
    spoken = [{"rule": one.rule, "record": one.record, "text": one.what.text} for one in found]
    return msgspec.json.encode(spoken).decode()
