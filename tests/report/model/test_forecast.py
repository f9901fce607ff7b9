"""Time left follows from what was measured, and from a recorded plan."""

import math
import random
from itertools import pairwise

import msgspec
import pytest

from yoyak.config import load
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.events import (
    CheckpointSaved,
    Evaluated,
    Planned,
    PredictionProgress,
    Prepared,
    Queued,
    RunStatus,
    StageStarted,
    SystemMetrics,
    TrainStep,
    fold,
)
from yoyak.planning import gpu_catalogue
from yoyak.planning.plan import PlanTarget, plan
from yoyak.report.model import forecast, history
from yoyak.report.model.build import build
from yoyak.report.model.load import gather
from yoyak.report.model.report import Forecast
from yoyak.runs.workspace import Workspace
from yoyak.scheduler import provenance
from yoyak.scheduler.create_runs import record_plans


def log(seconds, steps, saved=0.0):
    events = [
        Prepared(at=0, rows=8 * steps, rows_shortened=0, steps=steps, steps_per_epoch=steps,
                 tokens_per_epoch=1, supervised_tokens_per_epoch=1, parameters=1,
                 trainable_parameters=1)
    ]  # fmt: skip
    for step, second in enumerate(seconds, 1):
        events.append(
            TrainStep(at=0, step=step, epoch=0, loss=1, learning_rate=1, grad_norm=1, tokens=1,
                    supervised_tokens=1, rows=8, seconds=second)
        )  # fmt: skip
        events.append(CheckpointSaved(at=0, step=step, name="s", size_bytes=1, seconds=saved))
    return events


def test_the_stated_example_is_38_minutes_and_not_40():
    """127 of 390 steps at 8.7 s leave 263 × 8.7 s = 38.1 min."""
    left = forecast.pace_of(log([8.7] * 127, 390)).forecast
    assert left is not None
    assert left.p50_seconds / 60 == pytest.approx(38.1, abs=0.05)
    assert left.p90_seconds == pytest.approx(left.p50_seconds)


def test_evaluations_and_saves_count():
    left = forecast.pace_of(log([1.0] * 10, 20, saved=0.5)).forecast
    assert left is not None
    assert left.p50_seconds == pytest.approx(15.0)


def test_nothing_is_said_before_the_first_step():
    assert forecast.pace_of(log([], 20)).forecast is None
    assert forecast.until_all([], 1) is None


def test_the_truth_is_seldom_beyond_the_slow_forecast():
    """Paces that drift in stretches, as long batches and busy disks do: nine in ten end in time."""
    draw = random.Random(1)
    inside = 0
    for _ in range(200):
        paces = [draw.lognormvariate(0, 0.4) for _ in range(40)]
        seconds = [pace * draw.uniform(0.8, 1.2) for pace in paces for _ in range(10)]
        left = forecast.pace_of(log(seconds[:200], 400)).forecast
        assert left is not None
        inside += sum(seconds[200:]) <= left.p90_seconds
    assert inside >= 180


def test_rows_go_by_their_own_pace():
    steps = [
        PredictionProgress(at=0, split="dev", done=done, of=100, seconds=2.0 * done)
        for done in (0, 10, 40)
    ]
    left = forecast.generation_left(steps)
    assert left is not None
    assert left.p50_seconds == pytest.approx(120.0)
    assert forecast.generation_left(steps[:1]) is None


def test_runs_share_the_places_there_are_each_in_its_turn():
    runs = [Forecast(p50_seconds=seconds, p90_seconds=2 * seconds) for seconds in (60, 30, 20, 50)]
    one, two = (forecast.until_all(runs, places) for places in (1, 2))
    assert one == Forecast(p50_seconds=160, p90_seconds=320)
    # On two: 60 beside 30 + 20, and the last one on the place that is free after 50.
    assert two == Forecast(p50_seconds=100, p90_seconds=200)
    assert forecast.until_all(runs, 9) == Forecast(p50_seconds=60, p90_seconds=120)


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


@pytest.mark.process
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
    return msgspec.structs.replace(now, run=run, status=status, total=forecast, last_at=last_at)


ROWS = {"predict-dev": 24, "predict-test": 40, "predict-dev2": 6}


def total(events, **plan):
    """The time left of a run with these events, its plan before them."""
    plan = {"generated_rows": ROWS, "num_beams": 4} | plan
    events = [Planned(at=0, **plan), *events]
    state, pace = fold(events), forecast.pace_of(events)
    generated = history.last_generation(events) if state.prediction else []
    stage = forecast.generation_left(generated) if generated else pace.forecast
    return forecast.run_left(state, stage, pace)


def test_the_time_left_while_training_includes_every_answer_to_come(make):
    """17 of 24 steps, 2 s each; the evaluation answered 12 rows in 1 s, 70 rows are to come."""
    events = make.training(24, 17)
    stage = forecast.pace_of(events).forecast
    left = total(events)
    assert left.p50_seconds == pytest.approx(stage.p50_seconds + 70 / 12)
    assert left.p90_seconds == pytest.approx(stage.p90_seconds + 4 * 70 / 12), "with four beams"


def test_after_a_split_was_predicted_the_rest_is_at_its_pace(make):
    """12 of 24 dev rows a second; of the 46 rows after dev, none is greedy any more."""
    dev = make.toy_run().events
    begun = next(n for n, event in enumerate(dev) if isinstance(event, PredictionProgress))
    left = total([*dev[: begun + 1], msgspec.structs.replace(dev[begun], done=18, seconds=1.5)])
    assert left.p50_seconds == pytest.approx(6 / 12 + 46 / 12)
    ended = next(n for n, event in enumerate(dev) if isinstance(event, SystemMetrics))
    after = [*dev[:ended], StageStarted(at=0, stage="predict-test")]
    rows = [
        PredictionProgress(at=0, split="test", done=done, of=40, seconds=done / 12)
        for done in (10, 20)
    ]
    assert total([*after, *rows]).p50_seconds == pytest.approx(20 / 12 + 6 / 12)


def test_what_is_unknown_makes_the_whole_unknown(make):
    steps = [event for event in make.training(24, 17) if not isinstance(event, Evaluated)]
    assert total(steps) is None, "no row was ever answered"
    assert total(make.training(24, 17), aligns=True) is None, "how long will aligning take?"
    without = total(steps, generated_rows={})
    assert without == forecast.pace_of(steps).forecast, "a log that does not say what follows"


def test_the_plan_states_the_rows_of_each_stage(tmp_path):
    corpus = read_corpus(sample.folder())
    workspace = Workspace(tmp_path / "workspace")
    run = workspace.find_or_create(load.resolve("lead").recipe, corpus, lambda: b"{}")
    run.emit(Queued(at=1.0, recipe="lead"))
    record_plans([run], corpus, workspace)
    (plan_,) = [event for event in run.events() if isinstance(event, Planned)]
    dev, test = len(corpus.dev.dialogues), len(corpus.test.dialogues)
    assert list(plan_.generated_rows.items()) == [("predict-dev", dev), ("predict-test", test)]


def test_as_many_runs_at_a_time_as_now_and_the_next_takes_the_place_that_is_free_first(make):
    """Two cards: 100 s and 10 s run on them; then 30 s and 5 s, by hand."""
    running, queued = RunStatus.RUNNING, RunStatus.QUEUED
    runs = [
        coming(make, running, 100.0, last_at=1000.0, run="a"),
        coming(make, running, 10.0, last_at=1000.0, run="b"),
        coming(make, queued, 30.0, run="c"),
        coming(make, queued, 5.0, run="d"),
    ]
    found = {one.run: (one.start, one.end) for one in forecast.planned(runs, 1000.0)}
    assert found == {
        "a": (1000.0, 1100.0), "b": (1000.0, 1010.0), "c": (1010.0, 1040.0), "d": (1040.0, 1045.0),
    }  # fmt: skip


def test_a_running_runs_time_counts_from_its_last_word_and_not_from_now(make):
    (span,) = forecast.planned([coming(make, RunStatus.RUNNING, 60.0, last_at=900.0)], 1000.0)
    assert (span.start, span.end, span.late_end) == (900.0, 960.0, 1020.0)


def test_without_a_running_run_one_place_is_assumed(make):
    runs = [coming(make, RunStatus.QUEUED, 10.0, run=name) for name in "ab"]
    assert forecast.places(runs) == 1
    first, second = forecast.planned(runs, 0.0)
    assert second.start == first.end == 10.0


def test_a_plan_that_could_not_estimate_promises_nothing(make):
    for low, high in ((None, None), (60.0, None)):
        run = make.cut_run()._replace(status=RunStatus.QUEUED, events=(planned(make, low, high),))
        assert history.expected(fold(run.events)) is None
        assert build([run], make.rest()).timeline == ()


def test_failed_and_finished_runs_are_not_to_come(make):
    runs = [make.cut_run()._replace(id=status.value, status=status) for status in RunStatus]
    progress = {run.id: history.progress(run, fold(run.events)) for run in runs}
    found = [one.run for one in forecast.pending_runs(progress.values())]
    assert found == ["running", "interrupted", "stopped", "queued"]
