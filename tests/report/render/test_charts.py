"""Every chart has nothing to say without data, and its points come to the page as they are."""

import json
import math

import msgspec
import pytest

from yoyak.report.render import charts
from yoyak.report.render.charts import CHARTS
from yoyak.report.render.plots import LinePlot, Series
from yoyak.report.sections.page import sections


def test_a_chart_without_data_is_none(view):
    empty = msgspec.structs.replace(view, curves=(), timeline=(), systems=(), groups=())
    assert [key for key, chart in CHARTS.items() if chart(empty, 0) is not None] == []


def test_lines_that_share_their_axis_share_its_points(view):
    found = charts.points(charts.draw(view, sections(view)))
    loss, norms = found.plots["loss"], found.plots["grad-norm"]
    assert [one.x for one in loss] == [one.x for one in norms]
    (curve, *_) = [one for one in view.curves if one.steps]
    assert found.columns[loss[0].x] == list(curve.steps)
    assert found.columns[loss[0].y] == pytest.approx(curve.losses, rel=1e-4)
    assert loss[0].run == curve.run


def test_what_is_no_number_is_a_gap_and_the_rest_is_short():
    plot = LinePlot("", "", (Series("a", [1, 2, 3], [math.nan, math.inf, 1 / 3]),))
    found = json.loads(msgspec.json.encode(charts.points({"x": plot})))
    assert found["columns"] == [[1, 2, 3], [None, None, 0.33333]]


def test_moments_keep_their_seconds():
    plot = LinePlot("", "", (Series("a", [1_767_225_600.4], [1.0]),), x_kind="time")
    assert charts.points({"x": plot}).columns[0] == [1_767_225_600]
