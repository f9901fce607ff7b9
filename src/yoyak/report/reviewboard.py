"""Rows with all their candidates, as a terminal shows them: what was chosen, and what it cost."""

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from yoyak.messages import text
from yoyak.report.escape import plain
from yoyak.report.figures import score
from yoyak.report.rowboard import block

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

    from yoyak.final.review import Option, ReviewRow

CHOSEN = "→ "
"""Stands before what is handed in."""


def rows(found: Sequence["ReviewRow"], title: str) -> "Group":
    """Rows with all their candidates; those that say the same share a line."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [Text(title, style="bold")]
    for row in found:
        parts += ["", Text(plain(_heading(row)), style="bold")]
        several = _several({option.system for option in row.options}, row.options)
        by_text = sorted(row.options, key=lambda option: row.options.index(_first(option, row)))
        for said, alike in groupby(by_text, key=lambda option: option.text):
            parts.append(block(_label(list(alike), several), said))
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


def _several(systems: set[str], options: Sequence["Option"]) -> set[str]:
    """The systems that answer in more than one decoding."""
    names = [option.system for option in options]
    return {system for system in systems if names.count(system) > 1}


def _first(option: "Option", row: "ReviewRow") -> "Option":
    return next(other for other in row.options if other.text == option.text)


def _label(alike: Sequence["Option"], several: set[str]) -> str:
    first = alike[0]
    names = ", ".join(
        f"{one.system}/{one.decode}" if one.system in several else one.system for one in alike
    )
    figure = score(first.score if first.score is not None else first.expected)
    mark = CHOSEN if any(option.chosen for option in alike) else ""
    return f"{mark}{names} {figure}"
