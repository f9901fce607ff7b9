"""Every chart of the page by its key, and the points of those that the browser draws."""

import math
from collections.abc import Callable, Mapping, Sequence

import msgspec

from yoyak.report.model.report import Report
from yoyak.report.render import heat_maps, line_plots, track_charts
from yoyak.report.render.line_plots import along_evaluations, along_steps
from yoyak.report.render.plots import Drawing, LinePlot, Series
from yoyak.report.sections.blocks import Chart, Section, Timeline

Draw = Callable[[Report, int], Drawing | None]
"""Drawer of a chart for one part (see ``Chart``); ``None`` where it has no data."""

CHARTS: dict[str, Draw] = {
    "loss": along_steps(lambda curve: curve.losses, "loss"),
    "grad-norm": along_steps(lambda curve: curve.grad_norms, "grad-norm"),
    "learning-rate": along_steps(lambda curve: curve.learning_rates, "rate", smooth=False),
    "throughput": along_steps(lambda curve: curve.tokens_per_second, "throughput"),
    "align-loss": along_steps(lambda curve: curve.losses, "method-loss", stage="align", log=False),
    "align-reward": along_steps(lambda curve: curve.rewards, "reward", stage="align", log=False),
    "align-kl": along_steps(lambda curve: curve.kls, "kl", stage="align"),
    "align-grad-norm": along_steps(lambda curve: curve.grad_norms, "grad-norm", stage="align"),
    "dev-rouge": along_evaluations(
        lambda curve: [100 * mean for mean in curve.evaluated_means], "greedy-mean", intervals=True
    ),
    "dev-loss": along_evaluations(lambda curve: curve.evaluated_losses, "dev-loss"),
    "machine": line_plots.machine,
    "lengths": line_plots.lengths,
    "copied-words": line_plots.copied_lengths,
    "copied-position": line_plots.copied_positions,
    "study": line_plots.study,
    "comparison": track_charts.comparison,
    "disk": track_charts.disk,
    "vram": track_charts.vram,
    "timeline": track_charts.timeline,
    "plan": track_charts.plan,
    "faults": heat_maps.faults,
    "slices": heat_maps.slices,
    "complement": heat_maps.complement,
}
"""Every chart by its key."""

_DIGITS = 5


def draw(view: Report, page: Sequence[Section]) -> dict[str, Drawing]:
    """Return every chart on the page by its id, in the current language."""
    asked = [block for section in page for block in section.blocks]
    wanted = [block for block in asked if isinstance(block, Chart)]
    wanted += [Chart("timeline") for block in asked if isinstance(block, Timeline)]
    drawn = ((chart.id, CHARTS[chart.key](view, chart.part)) for chart in wanted)
    return {name: drawing for name, drawing in drawn if drawing is not None}


class _Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line as ``page/charts.js`` reads it: numbers are places in ``PlotPoints.columns``."""

    x: int
    y: int
    colour: str
    low: int | None = None
    high: int | None = None
    run: str | None = None
    dash: int = 0


class PlotPoints(msgspec.Struct, frozen=True):
    """The points of all line plots; columns that several lines share stand there once."""

    columns: list[list[float | None]]
    plots: dict[str, list[_Line]]


def points(drawn: Mapping[str, Drawing]) -> PlotPoints:
    """Return the points of the line plots in ``drawn``, to five significant digits."""
    places: dict[tuple[float | None, ...], int] = {}

    def place(values: Sequence[float | None], *, is_time: bool = False) -> int:
        shown = (_rounded(one, is_time=is_time) for one in values)
        return places.setdefault(tuple(shown), len(places))

    def line(one: Series, plot: LinePlot) -> _Line:
        has_interval = bool(one.low and one.high)
        return _Line(
            x=place(one.x, is_time=plot.x_kind == "time"),
            y=place(one.y),
            low=place(one.low) if has_interval else None,
            high=place(one.high) if has_interval else None,
            run=one.run,
            colour=one.paint.colour,
            dash=one.paint.dash,
        )

    plots = {
        key: [line(one, plot) for one in plot.series]
        for key, plot in drawn.items()
        if isinstance(plot, LinePlot)
    }
    return PlotPoints(columns=[list(column) for column in places], plots=plots)


def _rounded(value: float | None, *, is_time: bool = False) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    found = round(value) if is_time else float(f"{value:.{_DIGITS}g}")
    return int(found) if found == int(found) else found
