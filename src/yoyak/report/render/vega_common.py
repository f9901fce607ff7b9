"""Shared settings of all charts: size, colours, axes, and how rows are attached."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from yoyak.messages import text
from yoyak.report.model.history import thinned
from yoyak.report.model.report import Curve, Report
from yoyak.report.render.escape import plain

Rows = list[dict[str, float | str | None]]

INK = "#010203"
"""Placeholder for the page's text colour, replaced when the SVG is written."""

PALETTE = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#999999",
)  # fmt: skip
"""Colour-blind-safe colours (Okabe & Ito 2008), and two more."""

ROWS = "rows"
WIDTH, HEIGHT = 480, 210
MOST_POINTS = 2_000


class Drawing(NamedTuple):
    """A Vega-Lite chart and its rows, kept separate because altair would validate each row."""

    chart: Any
    rows: Rows


def base() -> Any:
    """Return a chart without marks over the rows attached to it."""
    import altair

    return altair.Chart(altair.NamedData(name=ROWS))


def drawing(rows: Rows, draw: Callable[[Any], Any]) -> Drawing | None:
    """Return a chart of the default size; ``None`` without rows."""
    chart = base().properties(width=WIDTH, height=HEIGHT)
    return Drawing(draw(chart), rows) if rows else None


def colours(view: Report) -> dict[str, str]:
    """Return the colour of each system by its name: the same in every chart and table."""
    return {
        plain(one.name): PALETTE[place % len(PALETTE)] for place, one in enumerate(view.systems)
    }


def colour(view: Report, rows: Rows, **settings: Any) -> Any:
    """Return a colour encoding of the systems in ``rows``, each in its own colour."""
    import altair

    return altair.Color("run:N", sort=None, scale=scale(view, rows), **settings)


def scale(view: Report, rows: Rows) -> Any:
    """Return the scale of the systems' colours; what is no system has that of the text."""
    import altair

    known = colours(view)
    names = list(dict.fromkeys(str(row["run"]) for row in rows))
    return altair.Scale(domain=names, range=[known.get(name, INK) for name in names])


def axis(field: str, key: str, **settings: Any) -> dict[str, Any]:
    """Return a quantitative axis that starts at zero only if ``settings`` ask for it."""
    limits = settings.pop("scale", {"zero": False})
    return {
        "field": field,
        "type": "quantitative",
        "title": text(f"report.axis-{key}"),
        "scale": limits,
        **settings,
    }


def lines(known: Sequence[tuple[Curve, Sequence[float], Sequence[float]]]) -> Rows:
    """Return the points of each run's line, thinned to about ``MOST_POINTS`` over all runs."""
    most = max(MOST_POINTS // max(len(known), 1), 20)
    rows: Rows = []
    for curve, across, up in known:
        name = plain(curve.name)
        points = thinned(list(zip(across, up, strict=True)), lambda point: point[1], most)
        rows += [{"run": name, "x": x, "y": y} for x, y in points]
    return rows
