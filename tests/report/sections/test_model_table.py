"""One table of the models: the same figures in every view that shows a part of it."""

import msgspec
import pytest

from yoyak import messages
from yoyak.events import RunStatus
from yoyak.metrics.sanity_checks import Alarm
from yoyak.report.model.build import build
from yoyak.report.model.report import Cost, Forecast
from yoyak.report.sections import format
from yoyak.report.sections.model_table import (
    CELLS,
    ROUGE_COLUMNS,
    alarms_cell,
    fits_cell,
    model_table,
    rouge_cells,
    system_table,
)
from yoyak.values import Severity


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_every_column_has_a_title_and_a_cell_for_every_system(view, language):
    with messages.speaking(language):
        (table,) = model_table(view, tuple(CELLS))
    assert len(table.rows) == len(view.systems)
    assert {len(row) for row in table.rows} == {len(CELLS)}
    assert all(column.title for column in table.columns)


def test_floors_have_scores_and_nothing_else(view):
    columns = ("system", "rouge1", "train", "mean")
    (table,) = model_table(view, columns, (), floors=view.groups[0].floors)
    label, rouge1, train, mean = table.rows[0]
    assert label == "one fixed sentence"
    assert (rouge1.shown, train, mean.shown) == ("30.06", "", "27.01")
    assert mean.record == view.groups[0].floors[0].record


def test_what_was_not_measured_is_a_dash(view):
    cut = view.systems[2]
    (table,) = model_table(view, ("mean", "difference", "verdict", "tied", "vram"), (cut,))
    assert table.rows == ((format.UNKNOWN,) * 5,)


def test_nothing_is_drawn_without_rows(view):
    assert model_table(view, ("system",), ()) == ()


def test_the_mean_of_a_row_of_scores_carries_its_interval(view):
    quality = view.systems[0].quality
    cells = dict(zip(ROUGE_COLUMNS, rouge_cells(quality.rouge, quality.mean.interval), strict=True))
    assert cells["mean"].shown == "23.27"
    assert cells["mean"].note == "21.27–25.27"
    assert cells["sum"].shown == "69.80"
    assert cells["rouge1"].note == ""


@pytest.fixture
def running(make):
    """Step 17 of 24, running."""
    run = make.cut_run()._replace(status=RunStatus.RUNNING)
    return build([run], make.rest()).progress[0]


def time_left(progress, **changes):
    return CELLS["left"](None, msgspec.structs.replace(progress, **changes))


def test_time_left_is_a_range_where_the_slow_pace_differs(running):
    alike, unlike = (Forecast(p50_seconds=60.0, p90_seconds=slow) for slow in (60.0, 200.0))
    assert time_left(running, total=alike).shown == "1 min 00 s"
    assert time_left(running, total=unlike).shown == "1 min 00 s – 3 min 20 s"


def test_nothing_is_promised_of_a_failed_run_or_without_a_pace(running):
    for changes in ({"total": None, "forecast": None}, {"status": RunStatus.FAILED}):
        cell = time_left(running, **changes)
        assert (cell.shown, cell.note) == ("–", "")
    assert time_left(running, status=RunStatus.INTERRUPTED).note == ""


def test_where_only_the_stage_is_known_the_run_takes_longer(running):
    stage = Forecast(p50_seconds=60.0, p90_seconds=80.0)
    cell = time_left(running, forecast=stage, total=None)
    assert (cell.shown, cell.note) == ("> 1 min 00 s", "")


def test_the_end_of_a_run_counts_from_the_runs_last_event(running):
    left, at = Forecast(p50_seconds=3600.0, p90_seconds=7200.0), 1_767_225_600.0
    cell = time_left(running, total=left, last_at=at)
    assert cell.note == f"{format.clock(at + 3600)}–{format.clock(at + 7200)}"


def test_the_floors_stand_in_their_places_among_the_systems(view):
    block = system_table(view.systems, view.groups[0].floors, ())
    at = [column.key for column in block.columns].index("mean")
    means = [row.values[at] for row in block.rows]
    known = [mean for mean in means if mean is not None]
    assert known == sorted(known, reverse=True)
    assert means[len(known) :] == [None] * (len(means) - len(known)), "the unscored come last"
    assert [row.is_floor for row in block.rows][:4] == [True, False, False, True]
    assert all(len(row.cells) == len(row.values) == len(block.columns) for row in block.rows)


@pytest.mark.parametrize(
    ("severities", "kind"), [((), "ok"), (("warning",), "watch"), (("warning", "error"), "danger")]
)
def test_a_system_has_the_number_of_its_alarms_in_its_row(view, severities, kind):
    alarms = tuple(
        Alarm(key="metrics.alarm-identical", severity=Severity(one), evidence={})
        for one in severities
    )
    one = view.systems[0]
    quality = msgspec.structs.replace(one.quality, alarms=alarms)
    cell = alarms_cell(msgspec.structs.replace(one, quality=quality))
    assert cell.kind == kind
    assert ("1 error, 1 warning" in cell.shown) == (kind == "danger")
    assert alarms_cell(msgspec.structs.replace(one, quality=None)) == "–"


@pytest.mark.parametrize(("peak", "kind"), [(14.5, "ok"), (24.0, "ok"), (24.1, "danger")])
def test_what_was_measured_fits_the_card_or_does_not(view, peak, kind):
    one = view.systems[0]
    measured, unknown = (
        msgspec.structs.replace(one, cost=Cost(peak_vram_gb=known)) for known in (peak, None)
    )
    assert fits_cell(measured).kind == kind
    assert fits_cell(unknown) == "–"
