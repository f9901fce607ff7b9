"""Charts are SVG of the page's own colours, drawn from the view's numbers."""

import re
import xml.etree.ElementTree as ElementTree
from importlib.util import find_spec

import msgspec
import pytest

from support.studies import scored_study
from yoyak import messages
from yoyak.events import Evaluated
from yoyak.report.model.build import build
from yoyak.report.model.report import DiskForecast, Pair
from yoyak.report.model.studies import summarise
from yoyak.report.render import charts
from yoyak.report.render.charts import CHARTS

pytestmark = pytest.mark.skipif(
    find_spec("altair") is None or find_spec("vl_convert") is None,
    reason="the [report] extra is not installed",
)


def drawn(key, view):
    return str(charts.svg(CHARTS[key](view, 0), key))


@pytest.fixture
def whole(view):
    lengths = tuple(
        msgspec.structs.replace(
            curve,
            summary_lengths=(40, 55, 58, 90),
            evaluated_losses=tuple(6.0 - epoch for epoch in curve.evaluated_epochs),
        )
        for curve in view.curves
    )
    pair = Pair(one="lead", other="tiny-bart", oracle_gain=0.02, other_better=0.3)
    disk = DiskForecast(
        used_gb=90.0, workspace_gb=20.0, downloads_gb=16.1, checkpoints_gb=1.0, left_gb=22.9
    )
    group = msgspec.structs.replace(view.groups[0], pairs=(pair,))
    study = summarise(scored_study(0.3, 0.35, 0.33), "studies/train-x/study.json")
    changes = {"curves": lengths, "groups": (group,), "disk": disk, "studies": (study,)}
    return msgspec.structs.replace(view, **changes)


@pytest.mark.parametrize("key", CHARTS)
@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_every_chart_is_well_formed_and_takes_the_pages_colour(whole, key, language):
    with messages.speaking(language):
        svg = drawn(key, whole)
    ElementTree.fromstring(svg)
    assert "currentColor" in svg
    assert "#010203" not in svg
    assert "<script" not in svg
    assert "http" not in svg.replace("http://www.w3.org", "")


def test_names_are_text_in_a_chart(whole):
    bad = tuple(
        msgspec.structs.replace(curve, name="<b onclick=x>한글</b>") for curve in whole.curves
    )
    svg = drawn("loss", msgspec.structs.replace(whole, curves=bad))
    assert "<b" not in svg
    assert "한글" in svg


def test_ids_of_two_charts_never_meet(whole):
    ids = [set(re.findall(r'\bid="([^"]+)"', drawn(key, whole))) for key in ("loss", "grad-norm")]
    assert not ids[0] & ids[1]


def test_a_chart_without_data_is_none(view):
    empty = msgspec.structs.replace(view, curves=(), timeline=(), systems=(), groups=())
    assert [key for key, chart in CHARTS.items() if chart(empty, 0) is not None] == []


def test_the_comparison_shows_the_floors(whole):
    assert "one fixed sentence" in drawn("comparison", whole)


def test_dev_loss_starts_at_step_0_and_stands_only_where_it_was_measured(make):
    run = make.toy_run()
    (place, first), (_, second) = run.of(Evaluated)
    changed = msgspec.structs.replace
    before, last = changed(first, step=0, epoch=0.0, loss=7.9), changed(second, loss=3.5)
    unmeasured = changed(second, step=30, epoch=2.5, loss=None)
    again = changed(first, loss=4.0)  # a step that was lost with its evaluation and done again
    events = (*run.events[:place], before, *run.events[place:], again, last, unmeasured)
    view = build([run._replace(events=events)], make.rest())
    points = [(row["x"], row["y"]) for row in CHARTS["dev-loss"](view, 0).rows]
    assert points == [(0.0, 7.9), (1.0, 4.0), (2.0, 3.5)]
    assert [row["x"] for row in CHARTS["dev-rouge"](view, 0).rows] == [0.0, 1.0, 2.0, 2.5]
    assert CHARTS["dev-loss"](build([run], make.rest()), 0) is None


def test_a_study_is_drawn_beside_what_chance_would_give(whole):
    rows = CHARTS["study"](whole, 0).rows
    found = [row["y"] for row in rows if row["high"] is None]
    chance = [row for row in rows if row["high"] is not None]
    assert found == pytest.approx([30.0, 35.0, 35.0])
    assert chance[0]["y"] == pytest.approx(30.0)
    assert all(row["low"] <= row["y"] <= row["high"] for row in chance)
    assert CHARTS["study"](whole, 1) is None
