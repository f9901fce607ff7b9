"""When the rest of the line-up would end: only of runs that have a pace or a recorded plan."""

import math
from itertools import pairwise

import msgspec

from yoyak.config import load
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.events import Planned, Queued, RunStatus, fold
from yoyak.planning import gpu_catalogue
from yoyak.planning.plan import PlanTarget, plan
from yoyak.report.model import history, schedule
from yoyak.report.model.build import build
from yoyak.report.model.load import gather
from yoyak.report.model.values import Forecast
from yoyak.runs.workspace import Workspace
from yoyak.scheduler import provenance
from yoyak.scheduler.create_runs import record_plans


def test_a_running_run_has_a_band_and_a_queued_one_nothing(make):
    running = make.cut_run()._replace(status=RunStatus.RUNNING)
    queued = make.cut_run()._replace(
        id="q", status=RunStatus.QUEUED, events=(Queued(at=make.noon, recipe="tiny-qlora"),)
    )
    view = build([running, queued], make.rest())
    assert view.tiles.left is not None
    assert view.tiles.left.p50_seconds > 7 * 2.0 - 0.1
    assert view.progress[1].forecast is None
    assert view.tiles.without_pace == 1
    assert {span.run for span in view.timeline} == {running.id}


def planned(make, low, high):
    return Planned(at=make.noon, low_seconds=low, high_seconds=high)


def test_what_is_to_come_stands_behind_what_runs_each_with_a_band(make):
    """The running run first, then the one that was cut off, then those the plan knows."""
    queued = make.cut_run()._replace(
        id="q", status=RunStatus.QUEUED, events=(planned(make, 60.0, 90.0),)
    )
    running = make.cut_run()._replace(id="r", status=RunStatus.RUNNING)
    failed = make.cut_run()._replace(id="f", status=RunStatus.FAILED)
    view = build([queued, failed, make.cut_run(), running], make.rest())
    coming = [span for span in view.timeline if span.kind == "planned"]
    assert [span.run for span in coming] == ["r", make.cut_run().id, "q"]
    for sooner, later in pairwise(coming):
        assert later.start == sooner.end
        assert later.late_end - sooner.late_end >= later.end - sooner.end
    assert coming[0].start == running.events[-1].at
    assert coming[-1].end - coming[-1].start == 60.0
    total = sum(span.end - span.start for span in coming)
    assert math.isclose(view.tiles.left.p50_seconds, total)
    assert view.tiles.without_pace == 0


def test_after_a_run_without_a_pace_nothing_is_promised(make):
    queued = [
        make.cut_run()._replace(id=name, status=RunStatus.QUEUED, events=events)
        for name, events in (("q1", ()), ("q2", (planned(make, 60.0, 90.0),)))
    ]
    assert build(queued, make.rest()).timeline == ()


def test_a_run_that_has_not_begun_is_forecast_by_the_plan_where_the_card_is_known(
    tmp_path, monkeypatch
):
    """The tile and the timeline say the plan's own span; a toy's time the plan does not know."""
    corpus = read_corpus(sample.folder())
    workspace = Workspace(tmp_path / "workspace")
    record = msgspec.json.encode(provenance.gather(corpus))
    for name in ("qwen3-4b", "tiny-qlora"):
        run = workspace.find_or_create(load.resolve(name).recipe, corpus, lambda: record)
        run.emit(Queued(at=1.0, recipe=name))
    card = gpu_catalogue.find_spec("RTX 3090")
    monkeypatch.setattr(gpu_catalogue, "installed_gpus", lambda: (card,))
    record_plans(workspace.runs(), corpus, workspace)
    record_plans(workspace.runs(), corpus, workspace)
    assert [len(run.events()) for run in workspace.runs()] == [2, 2], "said once"
    view = gather(workspace)
    span = plan([workspace.runs()[0].recipe], corpus, PlanTarget(card, None, 0.0)).time
    (coming,) = view.timeline
    assert coming.kind == "planned"
    assert math.isclose(coming.end - coming.start, span.low_seconds, abs_tol=1e-3)
    assert math.isclose(coming.late_end - coming.start, span.high_seconds, abs_tol=1e-3)
    assert view.tiles.without_pace == 1


def coming(make, status, seconds, *, last_at=None, run="r"):
    """A run to come that would take ``seconds``, twice that at the slow pace."""
    cut = make.cut_run()
    now = history.progress(cut, fold(cut.events))
    forecast = None if seconds is None else Forecast(p50_seconds=seconds, p90_seconds=2 * seconds)
    return msgspec.structs.replace(now, run=run, status=status, forecast=forecast, last_at=last_at)


def test_as_many_runs_at_a_time_as_now_and_the_next_takes_the_place_that_is_free_first(make):
    """Two cards: 100 s and 10 s run on them; then 30 s and 5 s, by hand."""
    running, queued = RunStatus.RUNNING, RunStatus.QUEUED
    runs = [
        coming(make, running, 100.0, last_at=1000.0, run="a"),
        coming(make, running, 10.0, last_at=1000.0, run="b"),
        coming(make, queued, 30.0, run="c"),
        coming(make, queued, 5.0, run="d"),
    ]
    found = {one.run: (one.start, one.end) for one in schedule.planned(runs, 1000.0)}
    assert found == {
        "a": (1000.0, 1100.0), "b": (1000.0, 1010.0), "c": (1010.0, 1040.0), "d": (1040.0, 1045.0),
    }  # fmt: skip


def test_a_running_runs_time_counts_from_its_last_word_and_not_from_now(make):
    (span,) = schedule.planned([coming(make, RunStatus.RUNNING, 60.0, last_at=900.0)], 1000.0)
    assert (span.start, span.end, span.late_end) == (900.0, 960.0, 1020.0)


def test_without_a_running_run_one_place_is_assumed(make):
    runs = [coming(make, RunStatus.QUEUED, 10.0, run=name) for name in "ab"]
    assert schedule.places(runs) == 1
    first, second = schedule.planned(runs, 0.0)
    assert second.start == first.end == 10.0


def test_a_plan_that_could_not_estimate_promises_nothing(make):
    for low, high in ((None, None), (60.0, None)):
        run = make.cut_run()._replace(status=RunStatus.QUEUED, events=(planned(make, low, high),))
        assert history.expected(fold(run.events)) is None
        assert build([run], make.rest()).timeline == ()


def test_failed_and_finished_runs_are_not_to_come(make):
    runs = [make.cut_run()._replace(id=status.value, status=status) for status in RunStatus]
    progress = {run.id: history.progress(run, fold(run.events)) for run in runs}
    found = [one.run for one in schedule.pending_runs(runs, progress)]
    assert found == ["running", "interrupted", "stopped", "queued"]
