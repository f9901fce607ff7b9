"""What each chart of the report shows, as Vega-Lite specifications built with altair."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from yoyak.messages import text
from yoyak.report.chronicle import thinned
from yoyak.report.escape import plain
from yoyak.report.parts import Measured
from yoyak.report.view import Curve, View

Rows = list[dict[str, float | str | None]]

INK = "#010203"
"""Stands for the page's text colour until the SVG is written."""

PALETTE = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#999999",
)  # fmt: skip
"""Colours that colour-blind readers can tell apart (Okabe & Ito 2008), and two more."""

ROWS = "rows"
_WIDTH, _HEIGHT = 440, 200
_MOST_POINTS = 2_000
_MOST_SPANS = 200
_MOST_MARKS = 200
"""With more points than this, a line says it without a mark on each."""


class Drawing(NamedTuple):
    """A Vega-Lite chart and the rows it draws; kept apart, as altair would check each row."""

    chart: Any
    rows: Rows


def _base() -> Any:
    import altair

    return altair.Chart(altair.NamedData(name=ROWS))


def _plain(rows: Rows, draw: Callable[[Any], Any]) -> Drawing | None:
    """A chart of the usual size, unless there is nothing to draw."""
    chart = _base().properties(width=_WIDTH, height=_HEIGHT)
    return Drawing(draw(chart), rows) if rows else None


def _colour() -> Any:
    import altair

    return altair.Color("run:N", sort=None)


def _axis(field: str, key: str, **settings: Any) -> dict[str, Any]:
    """A quantitative axis that does not begin at zero unless it is told to."""
    scale = settings.pop("scale", {"zero": False})
    return {
        "field": field,
        "type": "quantitative",
        "title": text(f"report.axis-{key}"),
        "scale": scale,
        **settings,
    }


def _rows(lines: Sequence[tuple[Curve, Sequence[float], Sequence[float]]]) -> Rows:
    """The points of each run's line, so few in all that they can be drawn and sent."""
    most = max(_MOST_POINTS // max(len(lines), 1), 20)
    rows: Rows = []
    for curve, across, up in lines:
        name = plain(curve.name)
        points = thinned(list(zip(across, up, strict=True)), lambda point: point[1], most)
        rows += [{"run": name, "x": x, "y": y} for x, y in points]
    return rows


def _along_steps(
    pick: Callable[[Curve], Sequence[float]], key: str, **settings: Any
) -> Callable[[View], Drawing | None]:
    def draw(view: View) -> Drawing | None:
        rows = _rows([(curve, curve.steps, pick(curve)) for curve in view.curves if curve.steps])
        x, y = _axis("x", "step"), _axis("y", key, **settings)
        return _plain(
            rows,
            lambda chart: chart.mark_line(strokeWidth=1.5).encode(x=x, y=y, color=_colour()),
        )

    return draw


def _dev_rouge(view: View) -> Drawing | None:
    rows = _rows(
        [
            (curve, curve.evaluated_epochs, [100 * mean for mean in curve.evaluated_means])
            for curve in view.curves
            if curve.evaluated_epochs
        ]
    )
    x, y = _axis("x", "epoch"), _axis("y", "dev-mean")
    marks = len(rows) < _MOST_MARKS
    return _plain(
        rows, lambda chart: chart.mark_line(point=marks).encode(x=x, y=y, color=_colour())
    )


def _comparison(view: View) -> Drawing | None:
    """Systems with their intervals, and below them the floors as hollow points."""
    import altair

    systems = [(plain(one.name), quality.mean, "system") for one, quality in view.scored]
    floors = [
        (text(f"report.floor-{one.name}"), Measured(value=one.rouge.mean), "floor")
        for one in view.floors
    ]
    rows: Rows = [_point(*one) for one in (*systems, *floors)]
    if not systems:
        return None
    base = _base().encode(
        y=altair.Y("run:N", sort=None, title=None, axis=altair.Axis(labelLimit=160))
    )
    spread = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=2, color=PALETTE[0])
    points = base.mark_point(size=70, color=PALETTE[0], fill=PALETTE[0])
    layers = altair.layer(
        spread.encode(x=_axis("low", "dev-mean"), x2="high:Q"),
        points.encode(
            x=_axis("mean", "dev-mean"),
            fillOpacity=altair.condition(
                "datum.kind == 'system'", altair.value(1), altair.value(0)
            ),
        ),
    )
    return Drawing(layers.properties(width=_WIDTH, height={"step": 28}), rows)


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


def _lengths(view: View) -> Drawing | None:
    import altair

    rows: Rows = [
        {"run": plain(curve.name), "x": _BIN_CHARACTERS * place, "y": share}
        for curve in view.curves
        if curve.summary_lengths
        for place, share in _histogram(curve.summary_lengths)
    ]
    x = _axis("x", "characters", scale={"zero": True})
    y = _axis("y", "share", scale={"zero": True}, axis=altair.Axis(format="%"))
    return _plain(
        rows,
        lambda chart: chart.mark_line(interpolate="step-after").encode(x=x, y=y, color=_colour()),
    )


def _histogram(lengths: Sequence[int]) -> Iterator[tuple[int, float]]:
    """The share of lengths in each bin, with an empty bin at the end."""
    bins = [length // _BIN_CHARACTERS for length in lengths]
    for place in range(max(bins) + 2):
        yield place, bins.count(place) / len(bins)


def _machine(view: View) -> Drawing | None:
    disk, vram = text("report.axis-disk"), text("report.axis-vram")
    known: list[tuple[str, float, float]] = [
        (name, 1000 * at, used)
        for curve in view.curves
        for name, values in ((disk, curve.disk_used_gb), (vram, curve.vram_used_gb))
        for at, used in zip(curve.sampled_at, values, strict=True)
        if used is not None
    ]
    most = thinned(known, lambda point: point[2], _MOST_POINTS)
    rows: Rows = [{"run": name, "x": at, "y": used} for name, at, used in most]
    x = {"field": "x", "type": "temporal", "title": None}
    y = _axis("y", "gigabytes", scale={"zero": True})
    return _plain(rows, lambda chart: chart.mark_line().encode(x=x, y=y, color=_colour()))


def _timeline(view: View) -> Drawing | None:
    import altair

    rows: Rows = [
        {
            "run": plain(span.name),
            "kind": text(f"report.span-{span.kind}"),
            "start": 1000 * span.start,
            "end": 1000 * (span.late_end or span.end),
        }
        for span in view.timeline[-_MOST_SPANS:]
    ]
    if not rows:
        return None
    kinds = [text(f"report.span-{kind}") for kind in ("worked", "running", "planned")]
    bars = _base().mark_bar(height=14)
    chart = bars.encode(
        x=altair.X("start:T", title=None),
        x2="end:T",
        y=altair.Y("run:N", sort=None, title=None),
        color=altair.Color("kind:N", sort=kinds, scale=altair.Scale(domain=kinds)),
    )
    return Drawing(chart.properties(width=_WIDTH, height={"step": 26}), rows)


def _complement(view: View) -> Drawing | None:
    """A heat map of the pairs; each stands on both sides of the diagonal."""
    import altair

    rows: Rows = []
    for pair in view.pairs:
        one, other, gain = plain(pair.one), plain(pair.other), 100 * pair.oracle_gain
        rows.append({"one": one, "other": other, "gain": gain})
        rows.append({"one": other, "other": one, "gain": gain})
    if not rows:
        return None
    title = text("report.column-oracle-gain")
    chart = _base().encode(
        x=altair.X("one:N", title=None, axis=altair.Axis(labelAngle=-30)),
        y=altair.Y("other:N", title=None),
    )
    heat = chart.mark_rect().encode(
        color=altair.Color("gain:Q", title=title, scale=altair.Scale(scheme="blues"))
    )
    return Drawing(heat.properties(width={"step": 44}, height={"step": 30}), rows)


CHARTS: dict[str, Callable[[View], Drawing | None]] = {
    "loss": _along_steps(lambda curve: curve.losses, "loss"),
    "grad-norm": _along_steps(
        lambda curve: curve.grad_norms, "grad-norm", scale={"type": "symlog"}
    ),
    "learning-rate": _along_steps(lambda curve: curve.learning_rates, "rate", scale={"zero": True}),
    "dev-rouge": _dev_rouge,
    "comparison": _comparison,
    "lengths": _lengths,
    "machine": _machine,
    "timeline": _timeline,
    "complement": _complement,
}
"""Every chart by its key; one that has nothing to show gives ``None``."""
