"""Draw rows with all their candidates: the chosen one, and its loss against the best."""

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
"""Mark before the candidate that is submitted."""


def rows(found: Sequence["ReviewRow"], title: str) -> "Group":
    """Return rows with all their candidates; identical texts share a line."""
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
