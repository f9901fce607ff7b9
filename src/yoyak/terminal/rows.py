"""Draw single rows: differences between two systems, and faults marked in the text."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from yoyak.messages import text
from yoyak.metrics.diagnostics.error_report import ErrorFound, RowDifference
from yoyak.metrics.diagnostics.text_patterns import TextSpan
from yoyak.report.render import format
from yoyak.report.render.escape import plain

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.padding import Padding
    from rich.text import Text

OPEN, CLOSE = "⟦", "⟧"
"""Brackets around an offending span, visible without colour."""


def marked(summary: str, spans: Sequence[TextSpan]) -> "Text":
    """Return the summary with its spans bracketed and underlined; overlapping spans are merged."""
    from rich.text import Text

    pieces, at = [], 0
    for start, end in _merged(spans):
        pieces += [summary[at:start], OPEN, summary[start:end], CLOSE]
        at = end
    drawn = Text(plain("".join((*pieces, summary[at:]))), overflow="fold")
    drawn.highlight_regex(f"{OPEN}[^{CLOSE}]*{CLOSE}", "underline")
    return drawn


def _merged(spans: Sequence[TextSpan]) -> Iterator[tuple[int, int]]:
    ordered = sorted((span.start, span.end) for span in spans)
    while ordered:
        start, end = ordered.pop(0)
        while ordered and ordered[0][0] <= end:
            end = max(end, ordered.pop(0)[1])
        yield start, end


def differences(rows: Sequence[RowDifference], names: tuple[str, str]) -> "Group":
    """Return the rows on which two systems differ most: both texts, the reference, the gap."""
    from rich.console import Group
    from rich.text import Text

    one, other = map(plain, names)
    title = text("report.rowboard-differences", one=one, other=other)
    parts: list[RenderableType] = [Text(title, style="bold")]
    for row in rows:
        gap = format.points(row.difference)
        parts += [
            "",
            Text(f"{plain(row.id)}  {gap}", style="bold"),
            block(f"{one} {format.score(row.one.mean)}", row.one_text),
            block(f"{other} {format.score(row.other.mean)}", row.other_text),
            *(block(text("report.column-reference"), each) for each in row.references),
        ]
    return Group(*parts, "")


def block(label: str, summary: "str | Text") -> "Padding":
    """Return a label and its text, every wrapped line indented."""
    from rich.padding import Padding
    from rich.text import Text

    said = Text(plain(summary) or "∅") if isinstance(summary, str) else summary
    return Padding(Text(f"{plain(label)}: ", overflow="fold") + said, (0, 0, 0, 2), expand=False)


def faults(found: Sequence[ErrorFound], *, limit: int = 5) -> "Group":
    """Return every kind of fault with its count and its first ``limit`` summaries."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = []
    for kind, group in groupby(found, key=lambda one: one.fault):
        rows = list(group)
        label = text(f"report.scoreboard-fault-{kind.value.replace('_', '-')}")
        parts.append(Text(f"{label}: {format.count(len(rows))}", style="bold"))
        parts += [block(one.id, marked(one.text, one.spans)) for one in rows[:limit]]
        parts.append("")
    return Group(*(parts or [Text(text("report.rowboard-no-fault"))]))
