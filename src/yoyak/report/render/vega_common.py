"""What all charts share: their size, their colours and axes, and how they carry their rows."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from yoyak.messages import text
from yoyak.report.model.history import thinned
from yoyak.report.model.report import Curve
from yoyak.report.render.escape import plain

Rows = list[dict[str, float | str | None]]

INK = "#010203"
"""Stands for the page's text colour until the SVG is written."""

PALETTE = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#999999",
)  # fmt: skip
"""Colours that colour-blind readers can tell apart (Okabe & Ito 2008), and two more."""

ROWS = "rows"
WIDTH, HEIGHT = 480, 210
MOST_POINTS = 2_000


class Drawing(NamedTuple):
    """A Vega-Lite chart and the rows it draws; kept apart, as altair would check each row."""

    chart: Any
    rows: Rows


def base() -> Any:
    """A chart without marks over the rows that come with it."""
    import altair

    return altair.Chart(altair.NamedData(name=ROWS))


def drawing(rows: Rows, draw: Callable[[Any], Any]) -> Drawing | None:
    """A chart of the usual size, unless there is nothing to draw."""
    chart = base().properties(width=WIDTH, height=HEIGHT)
    return Drawing(draw(chart), rows) if rows else None


def colour() -> Any:
    """One colour a run, in the line-up's order."""
    import altair

    return altair.Color("run:N", sort=None)


def axis(field: str, key: str, **settings: Any) -> dict[str, Any]:
    """A quantitative axis that does not begin at zero unless it is told to."""
    scale = settings.pop("scale", {"zero": False})
    return {
        "field": field,
        "type": "quantitative",
        "title": text(f"report.axis-{key}"),
        "scale": scale,
        **settings,
    }


def lines(known: Sequence[tuple[Curve, Sequence[float], Sequence[float]]]) -> Rows:
    """The points of each run's line, so few in all that they can be drawn and sent."""
    most = max(MOST_POINTS // max(len(known), 1), 20)
    rows: Rows = []
    for curve, across, up in known:
        name = plain(curve.name)
        points = thinned(list(zip(across, up, strict=True)), lambda point: point[1], most)
        rows += [{"run": name, "x": x, "y": y} for x, y in points]
    return rows
