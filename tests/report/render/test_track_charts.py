"""Tracks put marks where their values are, and say the values in words."""

import msgspec
import pytest

from yoyak import messages
from yoyak.report.model.report import DiskForecast, PlanCheck
from yoyak.report.render.charts import CHARTS


def test_the_comparison_shows_the_floors_in_the_rows_of_the_systems(view):
    chart = CHARTS["comparison"](view, 0)
    by_name = {row.name: row for row in chart.rows}
    floor = by_name["one fixed sentence"]
    system = by_name["tiny-bart"]
    assert [mark.kind for mark in floor.marks] == ["hollow"]
    limits = [mark.start for mark in system.marks if mark.kind == "limit"]
    assert floor.marks[0].start in limits
    (whisker,) = [mark for mark in system.marks if mark.kind == "whisker"]
    (point,) = [mark for mark in system.marks if mark.kind == "point"]
    assert whisker.start < point.start < whisker.end
    assert system.figures[0] in system.value
    assert CHARTS["comparison"](view, 5) is None


def test_the_parts_of_the_disk_lie_end_to_end(view):
    disk = DiskForecast(
        used_gb=90.0, workspace_gb=20.0, downloads_gb=16.1, checkpoints_gb=1.0, left_gb=22.9
    )
    rows = CHARTS["disk"](msgspec.structs.replace(view, disk=disk), 0).rows
    ends = [mark.end for row in rows for mark in row.marks]
    starts = [mark.start for row in rows for mark in row.marks]
    assert starts == pytest.approx([0.0, *ends[:-1]])
    assert ends[-1] == pytest.approx(1.0)


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_the_plan_stands_beside_what_was_measured(view, language):
    check = PlanCheck(
        run="r", name="tiny-bart", low_seconds=60.0, high_seconds=120.0, seconds=150.0,
        planned_checkpoint_bytes=None, checkpoint_bytes=None, record="",
    )  # fmt: skip
    with messages.speaking(language):
        chart = CHARTS["plan"](msgspec.structs.replace(view, plan_checks=(check,)), 0)
    (row,) = chart.rows
    planned, measured = row.marks
    assert planned.end < measured.start
    assert "2.5" in row.value
    assert row.figures == ("1.00", "2.00", "2.50")


def test_spans_of_one_run_share_a_row(view):
    chart = CHARTS["timeline"](view, 0)
    assert len({row.name for row in chart.rows}) == len(chart.rows)
    assert sum(len(row.marks) for row in chart.rows) >= len(view.timeline)
