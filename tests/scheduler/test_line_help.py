"""How a line-up helps itself: after kills, without memory, on several cards, with little room."""

import pytest

from yoyak import messages
from yoyak.config.project import Project, ResourceLimits
from yoyak.errors import DiskFull
from yoyak.events import RunStatus, Started, Warned
from yoyak.files import atomic
from yoyak.report.model.load import gather
from yoyak.report.render import markdown
from yoyak.scheduler import create_runs, resource_monitor, scheduler
from yoyak.scheduler.scheduler import RunResult, Scheduler, gpu_entries
from yoyak.system import limits
from yoyak.system.limits import Readings

GENTLE = ResourceLimits(disk_free_gb=0.0, ram_free_gb=0.0)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(scheduler, "POLL_SECONDS", 0.02)


def line_of(corpus, limits_=GENTLE, **named):
    return Scheduler(corpus, lambda run, event: None, limits_, **named)


def warnings_of(run):
    return [event.key for event in run.events() if isinstance(event, Warned)]


def test_four_runs_end_with_three_usable_ones_and_one_honest_failure(runs_of, corpus, workspace):
    runs = runs_of("Hungry", "Poisoned", "Doomed", "Steady")
    results = [outcome.result for outcome in line_of(corpus).run_all(runs)]
    assert results == [RunResult.FINISHED, RunResult.FAILED, RunResult.FINISHED, RunResult.FINISHED]
    hungry, poisoned, doomed, steady = runs
    assert all(run.scorecard() is not None for run in (hungry, doomed, steady))
    assert poisoned.state().status is RunStatus.FAILED
    assert "NaN" in poisoned.state().failed.message
    with messages.speaking("en"):
        said = markdown.render(gather(workspace))
    assert "finished 3/4" in said
    assert "failed 1/4: poisoned" in said
    for told in ("out of memory", "the worker was killed", "NaN"):
        assert told in said


def test_a_run_without_memory_gets_smaller_passes_of_the_same_batch(runs_of, corpus):
    (run,) = runs_of("Hungry")
    line_of(corpus).run_all([run])
    # 8 rows, then 4, then 2; the recipe that was asked for stays on record.
    said = [event for event in run.events() if isinstance(event, Warned)]
    assert [event.key for event in said] == ["scheduler.smaller-passes"] * 2
    assert [event.fields["rows"] for event in said] == ["4", "2"]
    assert {event.fields["batch"] for event in said} == {"8"}
    assert run.recipe.train.micro_batch_size is None


@pytest.mark.slow
def test_who_takes_the_run_up_next_week_keeps_to_the_smaller_passes(runs_of, corpus):
    (run,) = runs_of("Hungry")
    line_of(corpus).run_all([run])
    attempts = run.state().attempts
    (run.folder / "weights" / "weights.bin").write_bytes(b"torn")
    (run.folder / "predictions" / "test.jsonl").unlink()
    (outcome,) = line_of(corpus).run_all([run])
    assert outcome.result is RunResult.FINISHED
    assert run.state().attempts == attempts + 1  # it did not run out of memory again


@pytest.mark.slow
def test_a_run_that_never_has_memory_fails_after_three_rungs(runs_of, corpus):
    (run,) = runs_of("Starving")
    (outcome,) = line_of(corpus).run_all([run])
    assert outcome.result is RunResult.FAILED
    assert warnings_of(run) == ["scheduler.smaller-passes"] * 3
    assert run.state().failed.kind == "MemoryError"


@pytest.mark.slow
def test_a_worker_that_is_always_killed_is_left_for_later_after_three_times(runs_of, corpus):
    mortal, steady = runs_of("Mortal", "Steady")
    results = [outcome.result for outcome in line_of(corpus).run_all([mortal, steady])]
    assert results == [RunResult.INTERRUPTED, RunResult.FINISHED]
    assert warnings_of(mortal) == ["scheduler.taken-up-again"] * 3
    assert sum(isinstance(event, Started) for event in mortal.events()) == 4
    assert mortal.state().status is RunStatus.INTERRUPTED


# --- several cards -------------------------------------------------------------------------------


@pytest.fixture
def four(tmp_path, workspace, corpus):
    paths = [tmp_path / f"slow{number}.toml" for number in range(4)]
    for path in paths:
        path.write_text('engine = "doubles:Slow"', encoding="utf-8")
    return create_runs.create_runs(workspace, corpus, map(str, paths), Project(), ())


@pytest.mark.slow
def test_one_card_has_one_run_at_a_time(four, corpus):
    line_of(corpus, gpus=("3",)).run_all(four[:2])
    assert {(run.folder / "card").read_text() for run in four[:2]} == {"3"}
    assert four[1].state().started_at >= four[0].state().last_at


def test_the_cards_are_those_that_may_be_seen(monkeypatch, fake_gpus):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 5")
    assert gpu_entries() == ("2", "5")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpu_entries() == (None,)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    fake_gpus({}, {})
    assert gpu_entries() == ("0", "1")
    fake_gpus()
    assert gpu_entries() == (None,)


# --- little room ---------------------------------------------------------------------------------


@pytest.fixture
def shrinking(monkeypatch):
    """A disk that reads as full until something was pruned."""
    monkeypatch.setattr(resource_monitor, "SAMPLE_SECONDS", 0.05)
    room = {"free": 1.0}

    def read(folder, visible=None):
        return Readings(disk_free_gb=room["free"], disk_used_gb=9.0)

    def prune(workspace, chosen):
        room["free"] = 100.0
        return real_prune(workspace, chosen)

    real_prune = resource_monitor.prune
    monkeypatch.setattr(limits, "read", read)
    monkeypatch.setattr(resource_monitor, "prune", prune)


def test_room_is_made_before_anybody_is_stopped(runs_of, corpus, shrinking):
    working, other = runs_of("Slow", "Steady")
    with atomic.whole_folder(other.folder / "checkpoints" / "step-000001"):
        pass
    old = atomic.set_aside(other.folder / "checkpoints" / "step-000001", "trash")
    line = line_of(corpus, ResourceLimits(disk_free_gb=2.0, ram_free_gb=0.0))
    (outcome,) = line.run_all([working])
    assert outcome.result is RunResult.FINISHED
    assert not old.exists()
    assert warnings_of(working) == ["scheduler.pruned"]
    assert line.danger is None


def test_a_line_up_that_the_disk_stopped_says_so_with_74(runs_of, corpus):
    line = line_of(corpus, ResourceLimits(disk_free_gb=10.0**9))
    line.run_all(runs_of("Slow"))
    assert isinstance(line.danger, DiskFull)
    assert line.danger.exit_code == 74
