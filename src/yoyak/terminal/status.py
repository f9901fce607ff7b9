"""The terminal's rendering: tables that line up with Hangul, with or without a terminal."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from msgspec import structs

from yoyak.events import RunStatus
from yoyak.messages import text
from yoyak.report.model.eta import until_all
from yoyak.report.model.report import Floor, Quality, Report, RunProgress, System
from yoyak.report.model.values import Forecast
from yoyak.report.render import format
from yoyak.report.render.escape import plain
from yoyak.terminal import tables

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

TOY = "*"
"""Stands behind the name of a model from scratch; the note below the table says what it means."""

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


def name(system: System) -> str:
    """The system's name, with a star where it is a toy."""
    return plain(system.name) + (TOY if system.toy else "")


def stage(key: str | None) -> str:
    """The stage in words; an unknown one is shown as it was recorded."""
    known = {"train", "predict-dev", "predict-test", "score"}
    if key is None:
        return format.UNKNOWN
    return text(f"report.stage-{key}") if key in known else plain(key)


def progress(now: RunProgress) -> str:
    """``127/390 (33 %)``; a run that has not begun shows a dash."""
    if now.of is None:
        return format.UNKNOWN
    share = now.done / now.of if now.of else 1.0
    return f"{now.done}/{now.of} ({share:.0%})"


def left(now: RunProgress) -> str:
    """Time left in this stage at the usual pace; for a run that stands still, once it goes on."""
    if now.forecast is None or now.status is RunStatus.FAILED:
        return format.UNKNOWN
    return format.duration(now.forecast.p50_seconds)


def left_range(now: RunProgress) -> str:
    """Time left in this stage at the usual and at the slow pace (p50–p90)."""
    if now.forecast is None or now.status is RunStatus.FAILED:
        return format.UNKNOWN
    return format.durations(now.forecast)


def lineup_end(view: Report) -> str | None:
    """Between which hours all that is not done ends; ``None`` where nothing works on it.

    Runs whose pace nobody knows yet are counted and not guessed.
    """
    coming = [one for one in view.progress if one.status is not RunStatus.FAILED]
    coming.sort(key=lambda one: one.status is not RunStatus.RUNNING)
    working = [one.last_at for one in coming if one.status is RunStatus.RUNNING and one.last_at]
    return all_ends([one.forecast for one in coming], working)


def all_ends(forecasts: Sequence[Forecast | None], working: Sequence[float]) -> str | None:
    """The sentence of ``lineup_end``; ``working`` are when the runs that work last said a word."""
    known = [each for each in forecasts if each is not None]
    total = until_all(known, len(working) or 1)
    if total is None or not working:
        return None
    soon, late = (
        format.moment(max(working) + seconds) for seconds in (total.p50_seconds, total.p90_seconds)
    )
    unknown = len(forecasts) - len(known)
    key = "report.lineup-ends-without" if unknown else "report.lineup-ends"
    return text(key, soon=soon, late=late, count=unknown)


def left_band(now: RunProgress) -> str:
    """The hours between which the stage would end, at the usual and at the slow pace."""
    if now.forecast is None or now.status is not RunStatus.RUNNING or now.last_at is None:
        return ""
    soon = format.moment(now.last_at + now.forecast.p50_seconds)
    late = format.moment(now.last_at + now.forecast.p90_seconds)
    return soon if soon == late else f"{soon} – {late}"


def notes(view: Report) -> list[str]:
    """What must be known to read the tables: toys, the protocol, the floors, the baseline."""
    found = []
    if any(one.toy for one in view.systems):
        found.append(f"{TOY} {text('report.toy-note')}")
    if view.floors:
        found.append(text("report.floor-note"))
    if view.baseline:
        found.append(text("report.baseline-note", baseline=view.baseline))
    signatures = {quality.signature for _, quality in view.scored}
    found += [text("report.protocol-note", signature=one) for one in sorted(signatures)]
    if len(signatures) > 1:
        found.append(text("report.unlike-note", count=len(signatures)))
    return found
