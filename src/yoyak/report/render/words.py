"""Text shared by the renderers and the terminal: names, stages, progress, time left."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from yoyak.events import RunStatus
from yoyak.messages import text
from yoyak.report.model.forecast import until_all
from yoyak.report.model.report import TOY, Forecast, Report, RunProgress, System, SystemGroup
from yoyak.report.render import format
from yoyak.report.render.escape import plain
from yoyak.values import Interval

if TYPE_CHECKING:
    from yoyak.ensemble.gain import Gain


def name(system: System) -> str:
    """Return the system's name, with an asterisk if it is a toy model."""
    return plain(system.name) + (TOY if system.toy else "")


def stage(key: str | None) -> str:
    """Return the stage's localised name; an unknown key unchanged."""
    known = {"train", "predict-dev", "predict-test", "score"}
    if key is None:
        return format.UNKNOWN
    return text(f"report.stage-{key}") if key in known else plain(key)


def progress(now: RunProgress) -> str:
    """Return ``127/390 (33%)``; a dash for a run that has not started."""
    if now.of is None:
        return format.UNKNOWN
    share = now.done / now.of if now.of else 1.0
    return f"{now.done}/{now.of} ({share:.0%})"


def left_range(now: RunProgress) -> str:
    """Return the time left in this stage at the median and the slow pace (p50–p90)."""
    if now.forecast is None or now.status is RunStatus.FAILED:
        return format.UNKNOWN
    return format.durations(now.forecast)


def left_band(now: RunProgress) -> str:
    """Return when the stage ends at the median and at the slow pace; empty if it is not running."""
    if now.forecast is None or now.status is not RunStatus.RUNNING or now.last_at is None:
        return ""
    soon = format.moment(now.last_at + now.forecast.p50_seconds)
    late = format.moment(now.last_at + now.forecast.p90_seconds)
    return soon if soon == late else f"{soon} – {late}"


def lineup_end(view: Report) -> str | None:
    """Return when all unfinished runs end; ``None`` if no run is running.

    Runs without a known pace are counted, not estimated.
    """
    coming = [one for one in view.progress if one.status is not RunStatus.FAILED]
    coming.sort(key=lambda one: one.status is not RunStatus.RUNNING)
    working = [one.last_at for one in coming if one.status is RunStatus.RUNNING and one.last_at]
    return all_ends([one.forecast for one in coming], working)


def all_ends(forecasts: Sequence[Forecast | None], working: Sequence[float]) -> str | None:
    """Return the sentence of ``lineup_end``; ``working``: last event times of the running runs."""
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


def notes(view: Report, group: SystemGroup) -> list[str]:
    """Return the notes below the tables of a group: toys, floors, baseline, protocol."""
    found = []
    if any(one.toy for one in view.systems):
        found.append(f"{TOY} {text('report.toy-note')}")
    if group.floors:
        found.append(text("report.floor-note"))
    if group.baseline:
        found.append(text("report.baseline-note", baseline=group.baseline))
    return [*found, text("report.protocol-note", signature=group.basis.signature)]


def group_title(view: Report, group: SystemGroup) -> str:
    """Return on which data a group was scored; empty for the only group."""
    if len(view.groups) < 2:
        return ""
    number = view.groups.index(group) + 1
    return text("report.group-title", data=group.data, number=number, count=len(view.groups))


def interval(known: Interval) -> str:
    """Return both bounds in points (×100) with their signs."""
    return f"{format.points(known.low)} … {format.points(known.high)}"


def verdict(gain: "Gain") -> str:
    """Return better, worse or not proven, by whether the interval excludes zero."""
    if gain.proven:
        return text("report.verdict-better")
    return text("report.verdict-worse" if gain.interval.high < 0 else "report.verdict-not-proven")
