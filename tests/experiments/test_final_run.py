"""A run on train and dev: after the run that it is modelled on, and without a score."""

import pytest

from yoyak.config import load
from yoyak.config.project import Project
from yoyak.data.training_rows import training_split
from yoyak.ensemble.candidates import candidates
from yoyak.errors import BadRecipe, UsageError
from yoyak.experiments.final_run import final_request
from yoyak.scheduler.create_runs import create_runs
from yoyak.scheduler.stages import StageContext, is_finished, pending, run_stages

pytestmark = pytest.mark.process


def test_it_needs_the_finished_run_of_the_recipe(workspace, corpus, runs_of):
    (run,) = runs_of("Patient")
    with pytest.raises(UsageError, match="no finished run on train alone"):
        final_request(run.recipe.file, run.recipe, workspace, corpus)


def test_it_trains_on_dev_for_as_many_epochs_and_has_no_score(workspace, corpus, runs_of):
    (run,) = runs_of("Patient", sets=("train.epochs=9",))
    run_stages(StageContext(run, corpus, lambda: False))
    request = final_request(run.recipe.file, run.recipe, workspace, corpus)
    (final,) = create_runs(workspace, corpus, [request], Project(), ("train.epochs=9",))
    recipe = final.recipe
    assert recipe.name == "patient-final"
    rows = training_split(corpus, recipe.data).dialogues
    assert {row.id for row in corpus.dev.dialogues} <= {row.id for row in rows}
    steps, own = run.state().step, len(corpus.train.dialogues)
    assert recipe.train.max_steps == -(-steps * len(rows) // own)
    assert pending(final, corpus) == ["train", "predict-test"]
    run_stages(StageContext(final, corpus, lambda: False))
    assert is_finished(final, corpus)
    assert final.scorecard("dev") is None
    assert final.predictions("test")
    assert [one.lineage.system for one in candidates(workspace, corpus)] == [run.name]


def test_an_evaluation_on_dev_is_refused():
    with pytest.raises(BadRecipe, match="trains on dev"):
        load.resolve("kobart", sets=["data.with_dev=true"])
