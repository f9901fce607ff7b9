"""Vega-Lite specifications of the report's charts, built with altair."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from yoyak.messages import text
from yoyak.report.model.report import Curve, Measured, Report, SystemGroup
from yoyak.report.render.escape import plain
from yoyak.report.render.vega_common import (
    INK,
    WIDTH,
    Drawing,
    Rows,
    axis,
    base,
    colour,
    drawing,
    lines,
    scale,
)
from yoyak.report.render.vega_machine import disk, machine, timeline, vram

_MOST_MARKS = 200
"""Maximum number of points at which a line chart marks each point."""
_MOST_CELLS = 100
"""Maximum number of heat map cells at which names of typical length still fit."""


Draw = Callable[[Report, int], Drawing | None]
"""Drawer of a chart for one part (see ``Chart``); ``None`` where it has no data."""


def _along_steps(pick: Callable[[Curve], Sequence[float]], key: str, **settings: Any) -> Draw:
    def draw(view: Report, _: int) -> Drawing | None:
        rows = lines([(curve, curve.steps, pick(curve)) for curve in view.curves if curve.steps])
        x, y = axis("x", "step"), axis("y", key, **settings)
        return drawing(
            rows,
            lambda chart: chart.mark_line(strokeWidth=1.75).encode(
                x=x, y=y, color=colour(view, rows)
            ),
        )

    return draw


def _along_evaluations(pick: Callable[[Curve], Sequence[float | None]], key: str) -> Draw:
    """Return a chart with a point per evaluation that has the value, step 0 included."""

    def draw(view: Report, part: int) -> Drawing | None:
        known = []
        for curve in next(iter(view.evaluated[part:]), ()):
            measured = [
                (epoch, value)
                for epoch, value in zip(curve.evaluated_epochs, pick(curve), strict=True)
                if value is not None
            ]
            if measured:
                epochs, values = zip(*measured, strict=True)
                known.append((curve, epochs, values))
        rows = lines(known)
        x = axis("x", "epoch", axis={"tickMinStep": 1}, scale={"zero": True})
        y = axis("y", key)
        mark = {"strokeWidth": 2, "point": {"size": 45} if len(rows) < _MOST_MARKS else False}
        return drawing(
            rows,
            lambda chart: chart.mark_line(**mark).encode(x=x, y=y, color=colour(view, rows)),
        )

    return draw


def _group(view: Report, part: int) -> SystemGroup | None:
    return view.groups[part] if part < len(view.groups) else None


def _comparison(view: Report, part: int) -> Drawing | None:
    """Return a group's systems with their intervals, best first, then the floors, hollow."""
    import altair

    group = _group(view, part)
    if group is None:
        return None
    systems = [(plain(one.name), quality.mean, "system") for one, quality in view.ranked(group)]
    floors = [
        (text(f"report.floor-{one.name}"), Measured(value=one.rouge.mean), "floor")
        for one in group.floors
    ]
    rows: Rows = [_point(*one) for one in (*systems, *floors)]
    each = base().encode(
        y=altair.Y("run:N", sort=None, title=None, axis=altair.Axis(labelLimit=170, ticks=False))
    )
    x = axis("mean", "dev-mean", scale={"zero": False, "padding": 24})
    spread = each.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=3, opacity=0.55)
    shade = colour(view, rows, legend=None)
    fill = altair.Fill("run:N", sort=None, legend=None, scale=scale(view, rows))
    layers = altair.layer(
        spread.encode(x=axis("low", "dev-mean"), x2="high:Q", color=shade),
        each.mark_point(size=85, opacity=1).encode(
            x=x,
            color=shade,
            fill=fill,
            fillOpacity=altair.condition(
                "datum.kind == 'system'", altair.value(1), altair.value(0)
            ),
        ),
        each.mark_text(dy=-11, color=INK, fontSize=11).encode(
            x=x, text=altair.Text("mean:Q", format=".2f")
        ),
    )
    return Drawing(layers.properties(width=WIDTH - 100, height={"step": 34}), rows)


def _point(name: str, mean: Measured, kind: str) -> dict[str, float | str | None]:
    known = mean.interval
    return {
        "run": name,
        "kind": kind,
        "mean": 100 * mean.value,
        "low": None if known is None else 100 * known.low,
        "high": None if known is None else 100 * known.high,
    }


_BIN_CHARACTERS = 20


def _lengths(view: Report, part: int) -> Drawing | None:
    import altair

    group = _group(view, part)
    shown = () if group is None else group.runs
    rows: Rows = [
        {"run": plain(curve.name), "x": _BIN_CHARACTERS * place, "y": share}
        for curve in view.curves
        if curve.run in shown and curve.summary_lengths
        for place, share in _histogram(curve.summary_lengths)
    ]
    x = axis("x", "characters", scale={"zero": True})
    y = axis("y", "share", scale={"zero": True}, axis=altair.Axis(format="%"))
    return drawing(
        rows,
        lambda chart: chart.mark_area(
            interpolate="step-after", fillOpacity=0.12, line={"strokeWidth": 1.75}
        ).encode(x=x, y=altair.Y(**y, stack=None), color=colour(view, rows)),
    )


def _histogram(lengths: Sequence[int]) -> Iterator[tuple[int, float]]:
    """Yield the share of lengths in each bin, with an empty bin at the end."""
    bins = [length // _BIN_CHARACTERS for length in lengths]
    for place in range(max(bins) + 2):
        yield place, bins.count(place) / len(bins)


def _complement(view: Report, part: int) -> Drawing | None:
    """Return a heat map of the pairs of a group, mirrored on both sides of the diagonal."""
    import altair

    group = _group(view, part)
    if group is None or not group.pairs:
        return None
    rows: Rows = []
    for pair in group.pairs:
        one, other, gain = plain(pair.one), plain(pair.other), 100 * pair.oracle_gain
        rows.append({"one": one, "other": other, "gain": gain})
        rows.append({"one": other, "other": one, "gain": gain})
    title = text("report.column-oracle-gain")
    names = [plain(one.name) for one, _ in view.ranked(group)]
    each = base().encode(
        x=altair.X("one:N", title=None, sort=names, axis=altair.Axis(labelAngle=0, labelLimit=90)),
        y=altair.Y("other:N", title=None, sort=names),
    )
    middle = max(100 * pair.oracle_gain for pair in group.pairs) / 2
    heat = each.mark_rect(cornerRadius=3).encode(
        color=altair.Color(
            "gain:Q", title=title, legend=None, scale=altair.Scale(scheme="blues", domainMin=0)
        )
    )
    shown = each.mark_text(fontSize=12).encode(
        text=altair.Text("gain:Q", format="+.2f"),
        color=altair.condition(
            altair.datum.gain > middle, altair.value("#ffffff"), altair.value("#10202f")
        ),
    )
    layers = altair.layer(heat, shown)
    side = min(96, WIDTH // (len(group.pairs) + 1)) if len(rows) < _MOST_CELLS else 24
    return Drawing(layers.properties(width={"step": max(side, 24)}, height={"step": 36}), rows)


def _study(view: Report, part: int) -> Drawing | None:
    """Return a study's best score after each scored trial, above what chance alone would give."""
    import altair

    found = next(iter(view.studies[part:]), None)
    scored = [] if found is None else [one for one in found.trials if one.mean is not None]
    if found is None or not found.chance or len(scored) != len(found.chance):
        return None
    start = scored[0].best_so_far or 0.0
    rows: Rows = []
    for one, chance in zip(scored, found.chance, strict=True):
        rows.append(_reached("study-found", chance.trials, one.best_so_far or 0.0))
        by_chance = _reached("study-chance", chance.trials, start + chance.expected)
        rows.append(by_chance | {"high": 100 * (start + chance.interval.high), "low": 100 * start})
    x = axis("x", "trial", axis={"tickMinStep": 1}, scale={"zero": False})
    each = base().properties(width=WIDTH)
    kind = altair.Color("run:N", sort=None, legend=altair.Legend(title=None))
    band = each.transform_filter("isValid(datum.high)").mark_area(opacity=0.15, color=INK)
    layers = altair.layer(
        band.encode(x=x, y=axis("low", "dev-mean"), y2="high:Q"),
        each.mark_line(interpolate="step-after", strokeWidth=2, point=True).encode(
            x=x, y=axis("y", "dev-mean"), color=kind
        ),
    )
    return Drawing(layers, rows)


def _reached(key: str, trials: int, mean: float) -> dict[str, float | str | None]:
    return {"run": text(f"report.{key}"), "x": trials, "y": 100 * mean, "high": None, "low": None}


CHARTS: dict[str, Draw] = {
    "loss": _along_steps(lambda curve: curve.losses, "loss"),
    "grad-norm": _along_steps(
        lambda curve: curve.grad_norms, "grad-norm", scale={"type": "symlog"}
    ),
    "learning-rate": _along_steps(lambda curve: curve.learning_rates, "rate", scale={"zero": True}),
    "dev-rouge": _along_evaluations(
        lambda curve: [100 * mean for mean in curve.evaluated_means], "greedy-mean"
    ),
    "dev-loss": _along_evaluations(lambda curve: curve.evaluated_losses, "dev-loss"),
    "comparison": _comparison,
    "lengths": _lengths,
    "machine": lambda view, _: machine(view),
    "disk": lambda view, _: disk(view),
    "vram": lambda view, _: vram(view),
    "timeline": lambda view, _: timeline(view),
    "complement": _complement,
    "study": _study,
}
"""Every chart by its key."""
