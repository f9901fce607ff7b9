"""The terminal's rendering: tables that line up with Hangul, with or without a terminal."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from msgspec import structs

from yoyak.messages import text
from yoyak.report.model.report import Floor, Quality, Report, System
from yoyak.report.render import format
from yoyak.report.render.escape import plain
from yoyak.report.render.words import left_range, lineup_end, name, notes, progress, stage
from yoyak.terminal import tables

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_LEFT = frozenset({"system", "status", "protocol", "verdict", "stage", "at", "what", "precision"})


def console(stream: TextIO, *, width: int | None = None) -> "Console":
    """A console on ``stream``: colour only on a terminal and without NO_COLOR, 80 wide elsewhere.

    Soft-wraps nothing and reads no markup, so that text of models stays text.
    """
    from rich.console import Console

    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False)


def comparison(view: Report, out: "Console") -> None:
    """Which system is how good, beside the floors that need no model; then what each one took."""
    scored = sorted(view.scored, key=lambda pair: -pair[1].mean.value)
    if not scored:
        out.print(text("report.nothing-scored"))
        return
    out.print(_quality_table(scored, view))
    out.print()
    if any(system.difference for system, _ in scored):
        out.print(_difference_table([system for system, _ in scored], view))
        out.print()
    out.print(_cost_table([system for system, _ in scored]))
    out.print()
    for note in notes(view):
        out.print(plain(note), soft_wrap=True)


def status(view: Report, out: "Console") -> None:
    """Where every run stands, and what to do next, each command whole on a line of its own."""
    from rich.padding import Padding
    from rich.text import Text

    if not view.systems:
        out.print(text("report.no-runs"))
    else:
        out.print(_status_table(view))
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


def _quality_table(scored: Sequence[tuple[System, Quality]], view: Report) -> "Table":
    columns = ("system", "rouge1", "rouge2", "rougel", "mean", "interval", "sum", "n")
    table = _table(text("report.quality-title"), columns)
    for system, quality in scored:
        table.add_row(
            name(system),
            *(format.score(value) for value in structs.astuple(quality.rouge)),
            format.score(quality.mean.value),
            format.interval(quality.mean),
            format.score(quality.rouge.sum),
            format.count(quality.rows),
            style="dim" if system.toy else None,
        )
    for floor in _comparable(view.floors, scored):
        rouge = floor.rouge
        drawn = (format.score(value) for value in (*structs.astuple(rouge), rouge.mean))
        label = text(f"report.floor-{floor.name}")
        table.add_row(label, *drawn, "", format.score(rouge.sum), "", style="italic")
    return table


def _comparable(floors: Iterable[Floor], scored: Sequence[tuple[System, Quality]]) -> list[Floor]:
    """The floors of the very protocol that the systems were judged by."""
    signatures = {quality.signature for _, quality in scored}
    return [floor for floor in floors if floor.signature in signatures]


def _difference_table(systems: Sequence[System], view: Report) -> "Table":
    title = text("report.difference-title", baseline=view.baseline)
    table = _table(title, ("system", "difference", "interval", "verdict"))
    for system in systems:
        difference = system.difference
        if difference is not None:
            table.add_row(
                name(system),
                format.points(difference.mean.value),
                format.interval_of_points(difference.mean),
                format.verdict(difference),
            )
    return table


def _cost_table(systems: Sequence[System]) -> "Table":
    columns = ("system", "params", "precision", "train", "vram", "decode")
    table = _table(text("report.cost-title"), columns)
    for system in systems:
        cost = system.cost
        table.add_row(
            name(system),
            format.parameters(system.parameters),
            format.quantisation(system),
            format.duration(cost.train_seconds),
            format.gigabytes(cost.peak_vram_gb),
            format.duration(cost.decode_seconds_per_100),
            style="dim" if system.toy else None,
        )
    return table


def _status_table(view: Report) -> "Table":
    columns = ("system", "status", "stage", "progress", "mean", "left")
    table = _table(text("report.status-title"), columns)
    doing = {one.run: one for one in view.progress}
    for one in view.systems:
        now = doing.get(one.run)
        table.add_row(
            name(one),
            text(f"report.status-{one.standing.value}"),
            stage(one.stage),
            progress(now) if now else format.UNKNOWN,
            format.score(one.quality.mean.value if one.quality else None),
            left_range(now) if now else format.UNKNOWN,
        )
    return table


def _table(title: str, columns: Sequence[str]) -> "Table":
    left = [place for place, column in enumerate(columns) if column in _LEFT]
    headings = [text(f"report.column-{column}") for column in columns]
    return tables.ruled(title, headings, left=left)
