"""The charts of rows over one axis: scores, memory, time, the disk, the plan beside reality."""

from collections.abc import Iterator

from yoyak.messages import text
from yoyak.report.model.report import Measured, Report, TimelineSpan
from yoyak.report.render.escape import plain
from yoyak.report.render.plots import Axis, Mark, Tick, Track, TrackChart, colours
from yoyak.report.sections import format

_MOST_SPANS = 200
_TIME_TICKS = 4
_MINUTES_WITHOUT_SECONDS, _HOURS_WITHOUT_DATE = 15, 12
INK, RED, GREEN, BLUE, AMBER, GREY = (
    "var(--ink)", "var(--s1)", "var(--s2)", "var(--s0)", "var(--s4)", "var(--s7)",
)  # fmt: skip


def comparison(view: Report, part: int) -> TrackChart | None:
    """Return a group's systems with their intervals, best first, then the baselines, hollow."""
    if part >= len(view.groups):
        return None
    group, known = view.groups[part], colours(view)
    scores = [(plain(one.name), quality.mean, "point") for one, quality in view.ranked(group)]
    for floor in group.floors:
        mean = Measured(value=floor.rouge.mean)
        scores.append((text(f"report.floor-{floor.name}"), mean, "hollow"))
    ends = [end for _, mean, _ in scores for end in _ends(mean)]
    axis = Axis.over([100 * end for end in ends])
    floor_marks = tuple(
        Mark("limit", axis.share(100 * one.rouge.mean), 0, INK, text(f"report.floor-{one.name}"))
        for one in group.floors
    )
    rows = []
    for name, mean, kind in scores:
        colour = known.get(name, INK)
        low, high = (100 * end for end in _ends(mean))
        at = axis.share(100 * mean.value)
        tip = " ".join(filter(None, (name, format.score(mean.value), _interval(mean))))
        marks = [Mark(kind, at, at, colour, tip)]
        if mean.interval is not None:
            marks.insert(0, Mark("whisker", axis.share(low), axis.share(high), colour, tip))
        figures = [format.score(end) for end in (mean.value, *_ends(mean))]
        if mean.interval is None:
            figures[1:] = ["", ""]
        value = " ".join(filter(None, (format.score(mean.value), _interval(mean))))
        marks = [*(floor_marks if kind == "point" else ()), *marks]
        rows.append(Track(name, tuple(marks), value, tuple(figures), known.get(name, "")))
    columns = ("mean", "low", "high")
    return TrackChart(text("report.axis-dev-mean"), columns, tuple(rows), axis.ticks())


def _ends(mean: Measured) -> tuple[float, float]:
    known = mean.interval
    return (mean.value, mean.value) if known is None else (known.low, known.high)


def _interval(mean: Measured) -> str:
    return "" if mean.interval is None else f"({format.score_interval(mean.interval)})"


def vram(view: Report, _: int) -> TrackChart | None:
    """Return the peak GPU memory of each system, with a line at the GPU's memory."""
    known = [(one, one.cost.peak_vram_gb) for one in view.systems]
    peaks = [(plain(one.name), peak) for one, peak in known if peak is not None]
    if not peaks:
        return None
    total, paints = view.tiles.vram_total_gb, colours(view)
    axis = Axis.over([peak for _, peak in peaks] + ([] if total is None else [total]), zero=True)
    limit = () if total is None else (Mark("limit", axis.share(total), 0, RED, f"{total:.1f} GB"),)
    rows = (
        Track(
            name,
            (Mark("bar", axis.share(0), axis.share(peak), paints[name], f"{peak:.1f} GB"), *limit),
            f"{peak:.1f}",
            (f"{peak:.3f}",),
            paints[name],
        )
        for name, peak in peaks
    )
    return TrackChart(text("report.axis-gigabytes"), ("GB",), tuple(rows), axis.ticks())


def disk(view: Report, _: int) -> TrackChart | None:
    """Return the disk when everything is done: used, still to come, and free."""
    room = view.disk
    if room is None:
        return None
    parts = {
        "used": (room.used_gb, GREY),
        "workspace": (room.workspace_gb, BLUE),
        "downloads": (room.downloads_gb, RED),
        "checkpoints": (room.checkpoints_gb, AMBER),
        "left": (max(room.left_gb, 0.0), GREEN),
    }
    axis = Axis(0.0, sum(size for size, _ in parts.values()) or 1.0)
    rows, start = [], 0.0
    for key, (size, colour) in parts.items():
        name = text(f"report.disk-{key}")
        marks = (Mark("bar", axis.share(start), axis.share(start + size), colour, name),)
        rows.append(Track(name, marks, f"{size:.1f}", (f"{size:.3f}",)))
        start += size
    return TrackChart(text("report.axis-gigabytes"), ("GB",), tuple(rows), axis.ticks())


def timeline(view: Report, _: int) -> TrackChart | None:
    """Return each attempt, the forecast at the usual pace, and the extra time at the slow pace."""
    shown = view.timeline[-_MOST_SPANS:]
    if not shown:
        return None
    ends = [span.late_end or span.end for span in shown]
    axis = Axis(min(span.start for span in shown), max(ends))
    axis = axis if axis.high > axis.low else axis._replace(high=axis.low + 1)
    paints = colours(view)
    by_name: dict[str, list[TimelineSpan]] = {}
    for span in shown:
        by_name.setdefault(plain(span.name), []).append(span)
    rows = []
    for name, spans in by_name.items():
        colour = paints.get(name, INK)
        marks = tuple(mark for span in spans for mark in _bars(span, axis, colour))
        first, last = spans[0].start, spans[-1].late_end or spans[-1].end
        figures = (format.moment(first), format.moment(last))
        spent = sum((span.late_end or span.end) - span.start for span in spans)
        rows.append(Track(name, marks, format.duration(spent), figures, colour))
    width = axis.high - axis.low
    moments = [axis.low + width * place / _TIME_TICKS for place in range(_TIME_TICKS)]
    ticks = (Tick(axis.share(at), _clock(at, width)) for at in moments)
    return TrackChart("", ("start", "end"), tuple(rows), tuple(ticks))


def _clock(at: float, width: float) -> str:
    """Return the time, as exactly as an axis of ``width`` seconds needs it."""
    if width < _MINUTES_WITHOUT_SECONDS * 60:
        return format.clock(at, seconds=True)
    return format.clock(at) if width < _HOURS_WITHOUT_DATE * 3600 else format.moment(at)[5:16]


def _bars(span: TimelineSpan, axis: Axis, colour: str) -> Iterator[Mark]:
    start, end, late = span.start, span.end, span.late_end
    word = text(f"report.span-{span.kind}")
    tip = f"{word}: {format.moment(start)} – {format.clock(end)} ({format.duration(end - start)})"
    yield Mark(span.kind, axis.share(start), axis.share(end), colour, tip)
    if late is not None and late > end:
        tip = f"{text('report.span-late')}: {format.moment(late)}"
        yield Mark("late", axis.share(end), axis.share(late), colour, tip)


def plan(view: Report, _: int) -> TrackChart | None:
    """Return the planned minutes of each finished run beside the measured ones."""
    checks = view.plan_checks
    if not checks:
        return None
    axis = Axis.over(
        [end / 60 for one in checks for end in (one.high_seconds, one.seconds)], zero=True
    )
    paints = colours(view)
    rows = []
    for one in checks:
        low, high, found = one.low_seconds / 60, one.high_seconds / 60, one.seconds / 60
        name = plain(one.name)
        colour = paints.get(name, INK)
        planned = text("report.plan-planned", low=f"{low:.1f}", high=f"{high:.1f}")
        measured = text("report.plan-took", minutes=f"{found:.1f}")
        marks = (
            Mark("bar", axis.share(low), axis.share(high), GREY, planned),
            Mark("point", axis.share(found), 0, colour, measured),
        )
        figures = (f"{low:.2f}", f"{high:.2f}", f"{found:.2f}")
        rows.append(Track(name, marks, f"{measured}; {planned}", figures, colour))
    title = text("report.axis-minutes")
    return TrackChart(title, ("planned low", "planned high", "measured"), tuple(rows), axis.ticks())
