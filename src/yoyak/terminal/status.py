"""Print the comparison and the status of a workspace."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from yoyak.messages import text
from yoyak.report.model.report import Report, SystemGroup
from yoyak.report.render import format
from yoyak.report.render.escape import plain
from yoyak.report.render.words import group_title, lineup_end, notes
from yoyak.report.sections.details import alarms
from yoyak.report.sections.model_table import ROUGE_COLUMNS, model_table
from yoyak.terminal import tables

if TYPE_CHECKING:
    from rich.console import Console


def console(stream: TextIO, *, width: int | None = None) -> "Console":
    """Return a console on ``stream``: colour only on a terminal without NO_COLOR, else 80 wide.

    Soft-wraps nothing and reads no markup, so that text of models stays text.
    """
    from rich.console import Console

    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False)


def comparison(view: Report, out: "Console") -> None:
    """Print the scores of each system beside the baselines, its cost, and every alarm."""
    if not view.groups:
        out.print(text("report.nothing-scored"))
        return
    for group in view.groups:
        _group(view, group, out)
    for block in alarms(view):
        out.print(tables.draw(block))
        out.print()


def _group(view: Report, group: SystemGroup, out: "Console") -> None:
    """Print the systems of one group: only they can be compared."""
    scored = [one for one, _ in view.ranked(group)]
    compared = [one for one in scored if one.difference]
    against = text("report.difference-title", baseline=group.baseline)
    is_wide = out.width >= _WIDE
    if title := group_title(view, group):
        out.print(plain(title), soft_wrap=True)
        out.print()
    quality = ("system", *ROUGE_COLUMNS, "n") if is_wide else _QUALITY
    title = text("report.quality-title")
    for block in model_table(view, quality, scored, floors=group.floors, title=title):
        out.print(tables.draw(block, notes=is_wide))
        out.print()
    shown = (
        *model_table(view, _DIFFERENCE, compared, title=against),
        *model_table(view, _COST, scored, title=text("report.cost-title")),
    )
    for block in shown:
        out.print(tables.draw(block))
        out.print()
    for note in notes(view, group):
        out.print(plain(note), soft_wrap=True)
    out.print()


_WIDE = 120
"""Terminal width from which the interval of each measure is shown."""
_QUALITY = ("system", "rouge1", "rouge2", "rougel", "mean", "interval", "sum", "n")
_DIFFERENCE = ("system", "difference", "verdict")
_COST = ("system", "params", "precision", "train", "vram", "decode")
_STATUS = ("system", "status", "stage", "progress", "mean", "left")


def status(view: Report, out: "Console") -> None:
    """Print the status of every run and the next commands, each on its own line."""
    from rich.padding import Padding
    from rich.text import Text

    if not view.systems:
        out.print(text("report.no-runs"))
    for block in model_table(view, _STATUS, title=text("report.status-title")):
        out.print(tables.draw(block, notes=False))
        out.print()
    if (end := lineup_end(view)) is not None:
        out.print(end, soft_wrap=True)
    for notice in _notices(view):
        out.print(plain(notice), soft_wrap=True)
    for step in view.next_steps:
        out.print(plain(f"→ {step.command}"), soft_wrap=True)
        out.print(Padding(Text(plain(step.why.text), overflow="fold"), (0, 0, 0, 2)))


def _notices(view: Report) -> Iterator[str]:
    """Yield the failed preflight checks, the skipped lines of logs, and the newest incidents."""
    for proof in view.proofs:
        for check in proof.checks:
            if not check.passed:
                yield f"{proof.name}: ✖ {format.proved(check.name)}: {check.found}"
    for finding in view.findings:
        yield finding.what.text
    for incident in view.incidents[-5:]:
        yield f"{format.moment(incident.at)}  {incident.name}: {incident.what.text}"
