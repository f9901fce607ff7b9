"""Rows with all their candidates, as a terminal shows them: what was chosen, and what it cost."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from yoyak.messages import text
from yoyak.report.render.escape import plain
from yoyak.report.render.format import score
from yoyak.terminal.rows import block

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

    from yoyak.ensemble.review import ReviewOption, ReviewRow

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


class Alike(NamedTuple):
    """The candidates that say the same of a row."""

    names: str
    text: str
    score: float
    """Against the references; where there are none, against the other candidates."""
    chosen: bool


def alike(row: "ReviewRow") -> Iterator[Alike]:
    """What was said of a row, each text once, in the order of preference."""
    several = _several({option.system for option in row.options}, row.options)
    by_text = sorted(row.options, key=lambda option: row.options.index(_first(option, row)))
    for said, group in groupby(by_text, key=lambda option: option.text):
        options = list(group)
        first = options[0]
        yield Alike(
            names=", ".join(_name(option, several) for option in options),
            text=said,
            score=first.expected if first.score is None else first.score,
            chosen=any(option.chosen for option in options),
        )


def _name(option: "ReviewOption", several: set[str]) -> str:
    return f"{option.system}/{option.decode}" if option.system in several else option.system


def _several(systems: set[str], options: Sequence["ReviewOption"]) -> set[str]:
    """The systems that answer in more than one decoding."""
    names = [option.system for option in options]
    return {system for system in systems if names.count(system) > 1}


def _first(option: "ReviewOption", row: "ReviewRow") -> "ReviewOption":
    return next(other for other in row.options if other.text == option.text)
