"""Cells say the share, its interval and where its rows are."""

import msgspec
import pytest

from yoyak.metrics.diagnostics.error_types import ErrorType
from yoyak.metrics.diagnostics.slices import Slice, SliceKind
from yoyak.report.model.report import Pair
from yoyak.report.render.charts import CHARTS
from yoyak.report.render.heat_maps import wilson
from yoyak.values import Interval


@pytest.fixture
def changed(view):
    def change(**fields):
        replace = msgspec.structs.replace
        systems = tuple(
            one if one.quality is None else replace(one, quality=replace(one.quality, **fields))
            for one in view.systems
        )
        return msgspec.structs.replace(view, systems=systems)

    return change


@pytest.mark.parametrize(("count", "rows"), [(0, 24), (3, 24), (24, 24), (250, 499)])
def test_the_interval_is_scipy_s(count, rows):
    from scipy.stats import binomtest

    theirs = binomtest(count, rows).proportion_ci(method="wilson")
    ours = wilson(count, rows)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-6)


def test_a_cell_of_faults_leads_to_the_rows_of_its_system(changed):
    view = changed(faults={ErrorType.EMPTY: 6, ErrorType.WRAPPED: 0})
    chart = CHARTS["faults"](view, 0)
    (row,) = chart.rows  # what no system has is left out
    assert [cell.shown for cell in row.cells] == ["25.0", "25.0"]
    assert "95 %" in row.cells[0].tip
    assert row.cells[0].address == f"#rows?fault=empty&of=a&a={view.groups[0].runs[0]}"


def test_a_cell_of_slices_leads_to_its_dialogues(changed):
    pieces = (
        Slice(kind=SliceKind.LENGTH, label="26–310", rows=6, mean=0.2, interval=None),
        Slice(kind=SliceKind.SPEAKERS, label="2", rows=20, mean=0.3,
              interval=Interval(low=0.25, high=0.35)),
        Slice(kind=SliceKind.TOPIC, label="<약속>", rows=12, mean=0.25, interval=None),
    )  # fmt: skip
    chart = CHARTS["slices"](changed(slices=pieces), 0)
    addresses = [row.cells[0].address for row in chart.rows]
    assert addresses[0].startswith("#rows?chars=26..310&a=")
    assert addresses[1].startswith("#rows?speakers=2&a=")
    assert addresses[2].startswith("#rows?topic=%3C")
    assert [row.cells[0].heat for row in chart.rows] == pytest.approx([0.0, 1.0, 0.5])
    assert "25.00–35.00" in chart.rows[1].cells[0].tip


def test_pairs_stand_on_both_sides_of_the_diagonal(view):
    pair = Pair(one="lead", other="tiny-bart", oracle_gain=0.02, other_better=0.3)
    group = msgspec.structs.replace(view.groups[0], pairs=(pair,))
    chart = CHARTS["complement"](msgspec.structs.replace(view, groups=(group,)), 0)
    shown = [[cell.shown for cell in row.cells] for row in chart.rows]
    assert shown == [["", "+2.00"], ["+2.00", ""]]
