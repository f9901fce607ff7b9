"""The three kinds of chart, as values: lines along an axis, tracks with marks, and heat maps.

Lines are drawn in the reader's browser (``page/charts.js``) from the points in the page's data
block. Tracks and heat maps are tables, readable without a script, on paper and aloud.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from yoyak.report.model.report import Report
from yoyak.report.render.escape import plain

PALETTE = 8
"""Colours in ``page/page.css`` (``--s0`` …): Okabe & Ito (2008) and two more."""


class Paint(NamedTuple):
    """The colour of a system, and its dash once all colours are used."""

    colour: str
    """A CSS value."""
    dash: int

    @classmethod
    def at(cls, place: int | None) -> "Paint":
        """Return the paint of the system at ``place``; of the text for ``None``."""
        if place is None:
            return cls("var(--ink)", 0)
        return cls(f"var(--s{place % PALETTE})", place // PALETTE)


def places(view: Report) -> dict[str, int]:
    """Return the place of each system's run in the line-up, which chooses its colour."""
    return {one.run: place for place, one in enumerate(view.systems)}


def colours(view: Report) -> dict[str, str]:
    """Return the colour of each system by its name: the same in every chart and table."""
    return {plain(one.name): Paint.at(place).colour for place, one in enumerate(view.systems)}


class Series(NamedTuple):
    """One line; ``low`` and ``high`` are the bounds of its intervals, where it has any."""

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    run: str | None = None
    """The system that it belongs to; with its place comes the colour."""
    place: int | None = None
    dashed: bool = False

    @property
    def paint(self) -> Paint:
        """The paint of the line."""
        paint = Paint.at(self.place)
        return paint._replace(dash=1) if self.dashed else paint


class LinePlot(NamedTuple):
    """Lines over one axis."""

    x_title: str
    y_title: str
    series: tuple[Series, ...]
    x_kind: str = "number"
    """``number``, or ``time``: seconds since 1970."""
    whole: bool = False
    """Whether the axis has whole numbers only."""
    stepped: bool = False
    smooth: bool = False
    """Whether the reader can smooth the lines, which are then drawn beside the raw ones."""
    log: bool = False
    """Whether the reader can choose a logarithmic axis."""


class Mark(NamedTuple):
    """A mark of a track from ``start`` to ``end``, shares of the track's width."""

    kind: str
    """``bar``, ``whisker``, ``point``, ``hollow``, ``limit`` or a kind of time span."""
    start: float
    end: float
    colour: str
    tip: str = ""


class Track(NamedTuple):
    """One row of a track chart: marks, the value in words, and its figures for a spreadsheet."""

    name: str
    marks: tuple[Mark, ...]
    value: str
    figures: tuple[str, ...]
    colour: str = ""


class Tick(NamedTuple):
    """A labelled place on the axis of a track chart."""

    at: float
    label: str


class TrackChart(NamedTuple):
    """Rows over one axis; ``columns`` are the headings of their figures."""

    x_title: str
    columns: tuple[str, ...]
    rows: tuple[Track, ...]
    ticks: tuple[Tick, ...]


class HeatCell(NamedTuple):
    """A cell; ``heat`` (0 to 1) is its shade, ``None`` for none, ``address`` where it leads."""

    shown: str
    heat: float | None = None
    tip: str = ""
    address: str = ""


class HeatRow(NamedTuple):
    """A row of a heat map."""

    name: str
    cells: tuple[HeatCell, ...]


class HeatMap(NamedTuple):
    """A table whose cells are shaded."""

    corner: str
    columns: tuple[str, ...]
    rows: tuple[HeatRow, ...]


Drawing = LinePlot | TrackChart | HeatMap


class Axis(NamedTuple):
    """The range of a track chart."""

    low: float
    high: float

    @classmethod
    def over(cls, values: Sequence[float], *, zero: bool = False, margin: float = 0.04) -> "Axis":
        """Return a range that holds ``values``, with a margin where it does not start at zero."""
        low, high = min(values), max(values)
        if zero:
            low = min(low, 0.0)
        width = (high - low) or abs(high) or 1.0
        return cls(low if zero else low - margin * width, high + margin * width)

    def share(self, value: float) -> float:
        """Return where ``value`` stands, 0 to 1."""
        return (value - self.low) / (self.high - self.low)

    def ticks(self, most: int = 5) -> tuple[Tick, ...]:
        """Return round values inside the range (1, 2 or 5 times a power of ten apart)."""
        rough = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * one for one in (1, 2, 5, 10) if power * one >= rough)
        first = math.ceil(self.low / step)
        return tuple(
            Tick(self.share(number * step), f"{number * step:.10g}")
            for number in range(first, math.floor(self.high / step) + 1)
        )
