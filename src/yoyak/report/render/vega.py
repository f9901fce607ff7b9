"""Vega-Lite specifications of the report's charts, built with altair."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from yoyak.messages import text
from yoyak.report.model.report import Curve, Measured, Report
from yoyak.report.render.escape import plain
from yoyak.report.render.vega_common import (
    INK,
    PALETTE,
    WIDTH,
    Drawing,
    Rows,
    axis,
    base,
    colour,
    drawing,
    lines,
)
from yoyak.report.render.vega_machine import disk, machine, timeline, vram

_MOST_MARKS = 200
"""Maximum number of points at which a line chart marks each point."""
_MOST_CELLS = 100
"""Maximum number of heat map cells at which names of typical length still fit."""


def _along_steps(
    pick: Callable[[Curve], Sequence[float]], key: str, **settings: Any
) -> Callable[[Report], Drawing | None]:
    def draw(view: Report) -> Drawing | None:
        rows = lines([(curve, curve.steps, pick(curve)) for curve in view.curves if curve.steps])
        x, y = axis("x", "step"), axis("y", key, **settings)
        return drawing(
            rows,
            lambda chart: chart.mark_line(strokeWidth=1.75).encode(x=x, y=y, color=colour()),
        )

    return draw


def _along_evaluations(
    pick: Callable[[Curve], Sequence[float | None]], key: str
) -> Callable[[Report], Drawing | None]:
    """Return a chart with a point per evaluation that has the value, step 0 included."""

    def draw(view: Report) -> Drawing | None:
        known = []
        for curve in view.curves:
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
        return drawing(rows, lambda chart: chart.mark_line(**mark).encode(x=x, y=y, color=colour()))

    return draw


def _comparison(view: Report) -> Drawing | None:
    """Return systems with their intervals, best first, then the floors as hollow points."""
    import altair

    ranked = sorted(view.scored, key=lambda pair: -pair[1].mean.value)
    systems = [(plain(one.name), quality.mean, "system") for one, quality in ranked]
    floors = [
        (text(f"report.floor-{one.name}"), Measured(value=one.rouge.mean), "floor")
        for one in view.floors
    ]
    rows: Rows = [_point(*one) for one in (*systems, *floors)]
    if not systems:
        return None
    each = base().encode(
        y=altair.Y("run:N", sort=None, title=None, axis=altair.Axis(labelLimit=170, ticks=False))
    )
    x = axis("mean", "dev-mean", scale={"zero": False, "padding": 24})
    spread = each.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=3, opacity=0.55)
    layers = altair.layer(
        spread.encode(x=axis("low", "dev-mean"), x2="high:Q", color=altair.value(PALETTE[0])),
        each.mark_point(size=85, color=PALETTE[0], fill=PALETTE[0], opacity=1).encode(
            x=x,
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


def _lengths(view: Report) -> Drawing | None:
    import altair

    rows: Rows = [
        {"run": plain(curve.name), "x": _BIN_CHARACTERS * place, "y": share}
        for curve in view.curves
        if curve.summary_lengths
        for place, share in _histogram(curve.summary_lengths)
    ]
    x = axis("x", "characters", scale={"zero": True})
    y = axis("y", "share", scale={"zero": True}, axis=altair.Axis(format="%"))
    return drawing(
        rows,
        lambda chart: chart.mark_area(
            interpolate="step-after", fillOpacity=0.12, line={"strokeWidth": 1.75}
        ).encode(x=x, y=altair.Y(**y, stack=None), color=colour()),
    )


def _histogram(lengths: Sequence[int]) -> Iterator[tuple[int, float]]:
    """Yield the share of lengths in each bin, with an empty bin at the end."""
    bins = [length // _BIN_CHARACTERS for length in lengths]
    for place in range(max(bins) + 2):
        yield place, bins.count(place) / len(bins)


def _complement(view: Report) -> Drawing | None:
    """Return a heat map of the pairs, mirrored on both sides of the diagonal."""
    import altair

    rows: Rows = []
    for pair in view.pairs:
        one, other, gain = plain(pair.one), plain(pair.other), 100 * pair.oracle_gain
        rows.append({"one": one, "other": other, "gain": gain})
        rows.append({"one": other, "other": one, "gain": gain})
    if not rows:
        return None
    title = text("report.column-oracle-gain")
    names = [plain(one.name) for one, _ in view.scored]
    each = base().encode(
        x=altair.X("one:N", title=None, sort=names, axis=altair.Axis(labelAngle=0, labelLimit=90)),
        y=altair.Y("other:N", title=None, sort=names),
    )
    middle = max(100 * pair.oracle_gain for pair in view.pairs) / 2
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
    side = min(96, WIDTH // (len(view.pairs) + 1)) if len(rows) < _MOST_CELLS else 24
    return Drawing(layers.properties(width={"step": max(side, 24)}, height={"step": 36}), rows)


CHARTS: dict[str, Callable[[Report], Drawing | None]] = {
    "loss": _along_steps(lambda curve: curve.losses, "loss"),
    "grad-norm": _along_steps(
        lambda curve: curve.grad_norms, "grad-norm", scale={"type": "symlog"}
    ),
    "learning-rate": _along_steps(lambda curve: curve.learning_rates, "rate", scale={"zero": True}),
    "dev-rouge": _along_evaluations(
        lambda curve: [100 * mean for mean in curve.evaluated_means], "dev-mean"
    ),
    "dev-loss": _along_evaluations(lambda curve: curve.evaluated_losses, "dev-loss"),
    "comparison": _comparison,
    "lengths": _lengths,
    "machine": machine,
    "disk": disk,
    "vram": vram,
    "timeline": timeline,
    "complement": _complement,
}
"""Every chart by its key; ``None`` from a chart without data."""
