"""What a run's log says happened: incidents, attempts, curves, progress; each with its line."""

import msgspec
import pytest

from yoyak import messages
from yoyak.events import (
    AlignStep,
    Evaluated,
    Failed,
    Finished,
    PredictionProgress,
    RunStatus,
    Started,
    Stopped,
    TrainStep,
    Warned,
    fold,
)
from yoyak.report.model import history
from yoyak.report.model.build import build
from yoyak.report.model.history import POINTS, thinned
from yoyak.values import Interval, Rouge


def test_an_interrupted_run_says_at_which_step_and_what_is_safe(view):
    (incident,) = view.incidents
    assert incident.step == 17
    assert "step 17" in incident.what.text
    assert "step 10 is complete" in incident.what.text
    assert view.next_steps[0].command.startswith("yoyak run tiny-qlora --set train.")


def test_a_second_start_counts_the_steps_that_were_done_again(make):
    run = make.cut_run()
    again = make.training(24, 24, start=make.noon + 200)
    # the second attempt goes on from the checkpoint of step 10
    second = [Started(at=make.noon + 200, pid=8, host="box", attempt=2)]
    second += [event for event in again if getattr(event, "step", 0) > 10]
    run = run._replace(events=run.events + tuple(second), status=RunStatus.RUNNING)
    view = build([run], make.rest())
    (incident,) = view.incidents
    assert incident.lost_steps == 7
    assert view.progress[0].rows_seen == 24 * 8, "rows done again count once"
    assert [span.kind for span in view.timeline] == ["worked", "running", "planned"]


def test_every_record_points_at_the_line_it_was_read_from(make):
    run = make.cut_run()
    view = build([run], make.rest())
    path, _, line = view.incidents[0].record.partition("#L")
    assert path == f"{run.folder}/events.jsonl"
    assert run.events[int(line) - 1].at == view.incidents[0].at


def test_thinning_keeps_ends_and_peaks():
    points = list(range(10_000))
    heights = {7_123: 5.0}
    kept = thinned(points, lambda point: heights.get(point, 0.0), 200)
    assert len(kept) == 200
    assert (kept[0], kept[-1]) == (0, 9_999)
    assert 7_123 in kept
    assert list(kept) == sorted(kept)


def second_attempt(make, *, resumes_after):
    """The cut run (17 steps, checkpoint at 10), started once more and trained to the end."""
    run = make.cut_run()
    start = make.noon + 1000
    again = [event for event in make.training(24, 24, start=start) if event.at > start + 2]
    second = [Started(at=start, pid=8, host="box", attempt=2)]
    second += [event for event in again if event.step > resumes_after]
    return run._replace(events=run.events + tuple(second), status=RunStatus.FINISHED)


@pytest.mark.parametrize(("resumes_after", "lost"), [(10, 7), (17, 0), (0, 17)])
def test_lost_steps_are_those_that_the_second_attempt_did_again(make, resumes_after, lost):
    run = second_attempt(make, resumes_after=resumes_after)
    (incident,) = history.incidents(run, fold(run.events))
    assert (incident.step, incident.lost_steps) == (17, lost)


def test_until_the_second_attempt_steps_the_loss_is_unknown_and_not_zero(make):
    run = make.cut_run()
    again = Started(at=make.noon + 1000, pid=8, host="box", attempt=2)
    run = run._replace(events=(*run.events, again), status=RunStatus.RUNNING)
    (incident,) = history.incidents(run, fold(run.events))
    assert incident.lost_steps is None


def test_a_start_after_a_stop_or_a_failure_is_no_interruption(make):
    at = make.noon + 1000
    told = make.cut_run().events
    stop = Stopped(at=at, step=17, reason="asked")
    fail = Failed(at=at + 2, kind="engine", message="out of memory")
    starts = [Started(at=at + 1 + 2 * n, pid=8, host="box", attempt=2 + n) for n in range(2)]
    run = make.cut_run()._replace(
        events=(*told, stop, starts[0], fail, starts[1]), status=RunStatus.RUNNING
    )
    found = list(history.incidents(run, fold(run.events)))
    assert [one.what.key for one in found] == ["report.incident-stopped", "report.incident-failed"]
    assert "out of memory" in found[1].what.text


def test_a_warning_is_an_incident_and_does_not_hide_the_interruption_after_it(make):
    run = make.cut_run()
    at = make.noon + 1000
    warning = Warned(at=at, key="report.incident-failed", fields={"problem": "half full"})
    again = Started(at=at + 1, pid=8, host="box", attempt=2)
    run = run._replace(events=(*run.events, warning, again), status=RunStatus.RUNNING)
    warned, resumed = history.incidents(run, fold(run.events))
    assert "half full" in warned.what.text
    assert resumed.what.key == "report.incident-resumed"


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_a_run_cut_off_before_its_first_checkpoint_does_not_claim_one(make, language):
    run = make.cut_run()._replace(events=tuple(make.training(24, 9)))
    (incident,) = history.incidents(run, fold(run.events))
    assert incident.step == 9
    assert incident.what.key == "report.incident-interrupted-unsaved"
    with messages.speaking(language):
        assert "9" in incident.what.text


def test_no_line_is_cited_where_lines_of_the_log_were_left_out_or_skipped(make):
    run = make.cut_run()
    for other in (run._replace(damaged=True), run._replace(whole=False)):
        (incident,) = history.incidents(other, fold(other.events))
        assert incident.record == f"{run.folder}/events.jsonl"


def test_each_attempt_is_a_stretch_from_its_start_to_its_last_word(make):
    run = second_attempt(make, resumes_after=10)
    first, second = history.spans(run)
    assert (first.start, first.end) == (make.noon + 99 + 1, make.cut_run().events[-1].at)
    assert (second.start, second.end) == (make.noon + 1000, run.events[-1].at)
    assert {first.kind, second.kind} == {"worked"}


def train_curve(run):
    return next(history.curves(run))


def test_the_align_stage_has_a_curve_of_its_own_with_its_evaluations(make):
    """Its steps count from one again, and its evaluations are not those of training."""
    run = make.toy_run()
    (_, evaluated), *_ = run.of(Evaluated)
    later = msgspec.structs.replace(evaluated, stage="align", step=5, epoch=0.5)
    steps = [
        AlignStep(
            at=make.noon + 900 + step, step=step, epoch=step / 10, loss=-0.1,
            reward=0.2 + step / 10, reward_spread=0.1, kl=None if step == 1 else 0.01,
            learning_rate=1e-5, grad_norm=2.0,
            groups=4, tokens=300, seconds=2.0, sampled_seconds=1.0, waited_seconds=0.0,
        )
        for step in (1, 2)
    ]  # fmt: skip
    trained, aligned = history.curves(run._replace(events=(*run.events, *steps, later)))
    assert (trained.stage, aligned.stage) == ("train", "align")
    assert aligned.steps == (1, 2)
    assert aligned.rewards == pytest.approx((0.3, 0.4))
    assert aligned.kls == (None, 0.01)
    assert aligned.tokens_per_second == (150.0, 150.0)
    assert aligned.evaluated_epochs == (0.5,)
    assert 0.5 not in trained.evaluated_epochs
    assert aligned.sampled_at == ()


def test_the_curve_shows_a_step_once_as_it_was_done_last(make):
    run = second_attempt(make, resumes_after=10)
    events = [
        msgspec.structs.replace(event, loss=9.0)
        if type(event) is TrainStep and event.at > make.noon + 1000
        else event
        for event in run.events
    ]
    curve = train_curve(run._replace(events=tuple(events)))
    assert curve.steps == tuple(range(1, 25))
    assert [step for step, loss in zip(curve.steps, curve.losses, strict=True) if loss == 9.0] == [
        *range(11, 25)
    ]


def test_a_long_curve_keeps_its_ends_and_the_spike_of_the_gradient(make):
    steps = [
        TrainStep(
            at=make.noon + step, step=step, epoch=step / 1000, loss=1.0, learning_rate=1e-3,
            grad_norm=50.0 if step == 777 else 1.0, tokens=1, supervised_tokens=1, rows=1,
            seconds=1.0,
        )
        for step in range(1, 3001)
    ]  # fmt: skip
    curve = train_curve(make.cut_run()._replace(events=tuple(steps)))
    assert len(curve.steps) == POINTS
    assert (curve.steps[0], curve.steps[-1]) == (1, 3000)
    assert dict(zip(curve.steps, curve.grad_norms, strict=True))[777] == 50.0


def test_an_evaluation_without_a_loss_leaves_a_gap_in_its_curve(make):
    rouge = Rouge(rouge1=0.3, rouge2=0.1, rougeL=0.2)
    events = [
        Evaluated(
            at=make.noon + step, step=step, epoch=step / 12, rouge=rouge, loss=loss,
            interval=Interval(low=0.1, high=0.3), rows=12, signature="s", seconds=1.0, best=True,
        )
        for step, loss in ((12, None), (24, 2.5))
    ]  # fmt: skip
    curve = train_curve(make.cut_run()._replace(events=tuple(events)))
    assert curve.evaluated_epochs == (1.0, 2.0)
    assert curve.evaluated_losses == (None, 2.5)
    assert curve.evaluated_means == pytest.approx((0.2, 0.2))


def test_progress_of_generation_is_that_of_the_split_that_is_being_generated(make):
    def generated(split, done, at):
        return PredictionProgress(at=make.noon + at, split=split, done=done, of=24, seconds=1.0)

    told = [generated("dev", 12, 1), generated("dev", 24, 2), generated("test", 8, 3)]
    assert history.last_generation(told) == told[2:]
    again = [generated("test", 4, 5)]
    assert history.last_generation([*told, *again]) == again, "it began from the start again"
    started = Started(at=make.noon + 6, pid=1, host="box", attempt=2)
    assert history.last_generation([*told, started]) == []


def test_a_queued_run_has_made_no_progress_that_could_be_mistaken_for_some(make):
    run = make.cut_run()._replace(events=make.cut_run().events[:1], status=RunStatus.QUEUED)
    now = history.progress(run, fold(run.events))
    assert (now.done, now.of, now.loss, now.rows_seen, now.forecast) == (0, None, None, None, None)


def test_a_start_after_the_end_is_no_interruption(make):
    """Predictions that are redone after a run was finished begin a new attempt."""
    run = make.cut_run()
    at = make.noon + 1000
    again = Started(at=at + 1, pid=8, host="box", attempt=2)
    done = run._replace(
        events=(*run.events, Finished(at=at, seconds=9.0), again), status=RunStatus.RUNNING
    )
    assert list(history.incidents(done, fold(done.events))) == []


def test_without_the_whole_log_no_step_is_named(make):
    run = make.cut_run()
    again = Started(at=make.noon + 1000, pid=8, host="box", attempt=2)
    part = run._replace(events=(*run.events[:3], again), status=RunStatus.RUNNING, whole=False)
    (incident,) = history.incidents(part, fold(run.events))
    assert incident.what.key == "report.incident-resumed-somewhere"
