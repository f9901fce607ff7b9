"""Charts of time and storage: timeline, disk and GPU memory."""

from collections.abc import Iterator
from typing import Any

from yoyak.messages import text
from yoyak.report.model.history import thinned
from yoyak.report.model.report import Report, TimelineSpan
from yoyak.report.render.escape import plain
from yoyak.report.render.vega_common import (
    INK,
    MOST_POINTS,
    PALETTE,
    WIDTH,
    Drawing,
    Rows,
    axis,
    base,
    colour,
    drawing,
)

_MOST_SPANS = 200
_MINUTES_WITHOUT_SECONDS = 15

BLUE, RED, GREEN, AMBER, GREY = PALETTE[0], PALETTE[1], PALETTE[2], PALETTE[4], PALETTE[7]


def _time(first: float, last: float) -> Any:
    """Return a time axis with few enough ticks that labels do not overlap."""
    import altair

    short = last - first < 60 * _MINUTES_WITHOUT_SECONDS
    return altair.Axis(format="%H:%M:%S" if short else "%m-%d %H:%M", tickCount=5, labelFlush=True)


def machine(view: Report) -> Drawing | None:
    """Return disk and VRAM usage over time."""
    import altair

    names = text("report.axis-disk"), text("report.axis-vram")
    known: list[tuple[str, float, float]] = [
        (name, 1000 * at, used)
        for curve in view.curves
        for name, values in zip(names, (curve.disk_used_gb, curve.vram_used_gb), strict=True)
        for at, used in zip(curve.sampled_at, values, strict=True)
        if used is not None
    ]
    most = thinned(known, lambda point: point[2], MOST_POINTS)
    rows: Rows = [{"run": name, "x": at, "y": used} for name, at, used in most]
    if not rows:
        return None
    moments = [at / 1000 for _, at, _ in most]
    x = altair.X("x:T", title=None, axis=_time(min(moments), max(moments)))
    y = axis("y", "gigabytes", scale={"zero": True})
    dash = altair.StrokeDash("run:N", sort=None)  # no system's colour: these are the machine's
    return drawing(
        rows,
        lambda chart: chart.mark_line(strokeWidth=2, color=INK).encode(x=x, y=y, strokeDash=dash),
    )


def disk(view: Report) -> Drawing | None:
    """Return the whole disk as one bar: used, forecast to be used, and free."""
    import altair

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
    names = [text(f"report.disk-{key}") for key in parts]
    rows: Rows = [
        {"part": f"{name}: {size:.1f} GB", "y": size, "place": place}
        for place, (name, (size, _)) in enumerate(zip(names, parts.values(), strict=True))
    ]
    domain = [row["part"] for row in rows]
    colours = [shade for _, shade in parts.values()]
    bar = base().mark_bar(height=26, cornerRadius=2).encode(
        x=altair.X(**axis("y", "gigabytes", scale={"zero": True, "nice": False}), stack="zero"),
        color=altair.Color(
            "part:N", scale=altair.Scale(domain=domain, range=colours),
            legend=altair.Legend(columns=2, title=None, labelLimit=220, rowPadding=6),
        ),
        order="place:Q",
    )  # fmt: skip
    return Drawing(bar.properties(width=WIDTH, height=48), rows)


def vram(view: Report) -> Drawing | None:
    """Return the peak VRAM of each system, with a line at the GPU's capacity."""
    import altair

    rows: Rows = [
        {"run": plain(one.name), "y": one.cost.peak_vram_gb}
        for one in view.systems
        if one.cost.peak_vram_gb is not None
    ]
    if not rows:
        return None
    total = view.tiles.vram_total_gb
    x = axis("y", "gigabytes", scale={"zero": True})
    each = base().encode(x=x, y=altair.Y("run:N", sort=None, title=None))
    layers = [
        each.mark_bar(height=16, cornerRadius=2).encode(color=colour(view, rows, legend=None)),
        each.mark_text(align="left", dx=4, color=INK).encode(text=altair.Text("y:Q", format=".1f")),
    ]
    if total is not None:
        end = altair.Chart(altair.InlineData(values=[{"y": total}]))
        layers.append(end.mark_rule(color=RED, strokeDash=[4, 3], strokeWidth=2).encode(x=x))
    return Drawing(altair.layer(*layers).properties(width=WIDTH - 80, height={"step": 28}), rows)


_OPACITY = {"worked": 1.0, "running": 0.7, "planned": 0.4, "late": 0.18}
"""Opacity of a span by its kind: its colour is the system's."""


def timeline(view: Report) -> Drawing | None:
    """Return a bar per attempt, followed by its p50 forecast and the extra time at p90 pace."""
    import altair

    shown = view.timeline[-_MOST_SPANS:]
    rows: Rows = [row for span in shown for row in _bars(span)]
    if not rows:
        return None
    first, last = min(one.start for one in shown), max(one.late_end or one.end for one in shown)
    there = [key for key in _OPACITY if any(row["kind"] == key for row in rows)]
    names = [text(f"report.span-{key}") for key in there]
    for row in rows:
        row["word"] = text(f"report.span-{row['kind']}")
    bars = base().mark_bar(height=18, cornerRadius=3).encode(
        x=altair.X("start:T", title=None, axis=_time(first, last)),
        x2="end:T",
        y=altair.Y("run:N", sort=None, title=None, axis=altair.Axis(labelLimit=200, ticks=False)),
        color=colour(view, rows, legend=None),
        opacity=altair.Opacity(
            "word:N", scale=altair.Scale(domain=names, range=[_OPACITY[key] for key in there]),
            legend=altair.Legend(symbolType="square", symbolFillColor=INK, symbolStrokeWidth=0),
        ),
    )  # fmt: skip
    return Drawing(bars.properties(width=2 * WIDTH - 40, height={"step": 34}), rows)


def _bars(span: TimelineSpan) -> Iterator[dict[str, float | str | None]]:
    name = plain(span.name)
    yield {"run": name, "kind": span.kind, "start": 1000 * span.start, "end": 1000 * span.end}
    if span.late_end is not None and span.late_end > span.end:
        ends = {"start": 1000 * span.end, "end": 1000 * span.late_end}
        yield {"run": name, "kind": "late", **ends}
