"""Charts as inline SVG, specified in Vega-Lite (altair) and converted by vl-convert, no browser.

Both packages come with the ``[report]`` extra; without it the page has a notice and no charts.
Text and lines use the page's own colour, so that dark mode and print stay legible.
"""

import re
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from yoyak.report.model.report import Report
from yoyak.report.render.vega import CHARTS
from yoyak.report.render.vega_common import INK, PALETTE, ROWS, Drawing
from yoyak.report.sections.blocks import Chart, Section, Timeline

if TYPE_CHECKING:
    from markupsafe import Markup

BROAD = frozenset({"timeline"})
"""Charts that take the full page width."""

_ROLE = re.compile(r' (?:role|aria-roledescription)="[^"]*"')
"""ARIA roles of a chart's parts, removed because the enclosing figure carries the label."""
_PATH = re.compile(r' d="[^"]*"')
_DECIMALS = re.compile(r"(\.\d)\d+")
"""Decimals of path coordinates beyond the first; 0.1 pixel is precise enough."""
_ID = re.compile(r'(\bid="|url\(#)([A-Za-z])')


def is_available() -> bool:
    """Return whether the ``[report]`` extra is installed."""
    return find_spec("altair") is not None and find_spec("vl_convert") is not None


def draw(view: Report, page: Sequence[Section]) -> "dict[str, Markup]":
    """Return the SVG of every chart on the page by its key; empty without the extra."""
    if not is_available():
        return {}
    asked = [block for section in page for block in section.blocks]
    wanted = [block for block in asked if isinstance(block, Chart)]
    wanted += [Chart("timeline") for block in asked if isinstance(block, Timeline)]
    drawn = ((chart.id, CHARTS[chart.key](view, chart.part)) for chart in wanted)
    return {name: svg(drawing, name) for name, drawing in drawn if drawing is not None}


def svg(drawing: Drawing, key: str) -> "Markup":
    """Return a chart as inline SVG with ids unique to ``key`` and text in the page's colour."""
    import vl_convert
    from markupsafe import Markup

    specification = _styled(drawing.chart).to_dict() | {"datasets": {ROWS: drawing.rows}}
    drawn = vl_convert.vegalite_to_svg(specification)
    drawn = _ID.sub(rf"\g<1>{key}-\g<2>", drawn).replace(INK, "currentColor")
    drawn = _ROLE.sub("", drawn).replace("<svg ", '<svg aria-hidden="true" ', 1)
    drawn = _PATH.sub(lambda match: _DECIMALS.sub(r"\1", match.group()), drawn)
    # Safe: the only external text is names, which Vega has escaped.
    return Markup(drawn)  # noqa: S704


def _styled(chart: Any) -> Any:
    grey = {"gridColor": INK, "gridOpacity": 0.15, "domainColor": INK, "tickColor": INK}
    words = {"labelColor": INK, "titleColor": INK, "labelFontSize": 12, "titleFontSize": 12}
    return (
        chart.configure(background="transparent", aria=False, font="sans-serif")
        .configure_view(stroke=None)
        .configure_axis(**grey, **words, titleFontWeight="normal")
        .configure_legend(**words, orient="bottom", columns=3, title=None, labelLimit=200, offset=6)
        .configure_range(category=list(PALETTE))
    )
