"""Rows with all their candidates, as a terminal shows them: what was chosen, and what it cost."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from yoyak.messages import text
from yoyak.report.model.ensemble import alike
from yoyak.report.render.escape import plain
from yoyak.report.render.format import score
from yoyak.terminal.rows import block

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

    from yoyak.ensemble.review import ReviewRow

CHOSEN = "→ "
"""Stands before what is handed in."""


def rows(found: Sequence["ReviewRow"], title: str) -> "Group":
    """Rows with all their candidates; those that say the same share a line."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [Text(title, style="bold")]
    for row in found:
        parts += ["", Text(plain(_heading(row)), style="bold")]
        for one in alike(row):
            mark = CHOSEN if one.chosen else ""
            parts.append(block(f"{mark}{one.names} {score(one.score)}", one.text))
        reference = text("report.column-reference")
        parts += [block(reference, each) for each in row.references]
    return Group(*parts)


def _heading(row: "ReviewRow") -> str:
    fields = {"id": row.id, "disagreement": score(row.disagreement)}
    if row.regret is None:
        return text("report.answer-row", **fields)
    if row.regret > 0:
        return text("report.answer-row-below", **fields, regret=score(row.regret))
    return text("report.answer-row-best", **fields)
