"""Trials as runs of the workspace: scored, stopped early, failed, done before."""

import contextlib

import msgspec
import pytest

from support.scheduler import *  # noqa: F403
from support.studies import train_study
from yoyak.config.project import Project
from yoyak.errors import Interrupted
from yoyak.events import Finished, RunStatus, Started, Stopped
from yoyak.experiments.study_loop import TrialJob
from yoyak.experiments.trial_runs import TrialRunner, run_name, seconds_of
from yoyak.runs.study import Trial, TrialState


@pytest.fixture
def runner(workspace, corpus):
    @contextlib.contextmanager
    def unseen(_):
        yield lambda run, event: None

    return TrialRunner(workspace, corpus, Project(), train_study(), (), unseen)


def job(recipe, number, rate, earlier=None):
    sets = (f"train.learning_rate={rate}",)
    return TrialJob(Trial(number=number, candidate=number, recipe=recipe, sets=sets), earlier)


@pytest.mark.process
def test_a_trial_is_an_ordinary_run_and_one_that_falls_behind_is_stopped(
    runner, recipe_of, workspace, corpus
):
    recipe = recipe_of("Rated")
    [done] = runner.run([job(recipe, 0, 1e-3)])
    tokens = workspace.named(done.run).folder / "tokens"
    tokens.mkdir()
    (tokens / "key.msgpack").write_bytes(b"token ids")
    [behind] = runner.run([job(recipe, 1, 1e-5, earlier=(done.evaluations,))])
    assert done.state is TrialState.FINISHED
    assert done.scores.keys() == {one.id for one in corpus.dev.dialogues}
    assert len(done.evaluations) == 3
    assert (behind.state, behind.scores) == (TrialState.PRUNED, {})
    assert len(behind.evaluations) == 1
    run = workspace.named(behind.run)
    assert run.state().status is RunStatus.STOPPED
    assert run.recipe.evaluate.dev_half == "selection"
    assert (run.folder / "tokens" / "key.msgpack").samefile(tokens / "key.msgpack")
    assert run.recipe.name == "x-train-01"
    assert run.provenance.data_folder == corpus.folder
    attempts = run.state().attempts
    # What the log says already is not run again, and comes to the same.
    again = runner.run([job(recipe, 1, 1e-5, earlier=(done.evaluations,))])
    assert again == [behind]
    assert run.state().attempts == attempts
    assert runner.run([job(recipe, 0, 1e-3)]) == [done]


@pytest.mark.process
def test_a_failure_of_a_trial_is_its_result(runner, recipe_of):
    [failed] = runner.run([job(recipe_of("Failing"), 1, 1e-3)])
    assert failed.state is TrialState.FAILED
    assert "could not log in" in failed.problem


@pytest.mark.process
def test_a_run_that_another_process_works_on_is_left_to_it(runner, recipe_of):
    wanted = job(recipe_of("Rated"), 0, 1e-3)
    with runner._run_of(wanted.trial).lock(), pytest.raises(Interrupted, match="same command"):
        runner.run([wanted])


def test_names_say_which_trial_and_seed_and_are_never_too_long():
    study = train_study()
    trial = Trial(number=3, candidate=3, recipe="x", sets=())
    assert run_name(study, trial) == "x-train-03"
    judged = msgspec.structs.replace(trial, number=1, repeats=3)
    assert run_name(study, judged) == "x-train-03-seed2"
    long = msgspec.structs.replace(study, name="가" * 80)
    assert len(run_name(long, judged)) <= 80


def test_time_is_that_of_the_attempts_not_of_the_night_between_them():
    log = [
        Started(at=100.0, pid=1, host="x", attempt=1),
        Stopped(at=130.0, step=3, reason="train"),
        Started(at=9000.0, pid=2, host="x", attempt=2),
        Finished(at=9012.0, seconds=12.0),
    ]
    assert seconds_of(log) == 42.0
    assert seconds_of([]) is None
