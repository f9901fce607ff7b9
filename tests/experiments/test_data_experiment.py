"""Two ways to prepare train, compared with the same seeds."""

import pytest

from yoyak.config import load
from yoyak.config.project import Project
from yoyak.errors import UsageError
from yoyak.experiments.data_experiment import (
    DataArm,
    conclude,
    other_settings,
    refuse_equal,
    variant_name,
)
from yoyak.scheduler.create_runs import create_runs
from yoyak.scheduler.stages import StageContext, run_stages

pytestmark = pytest.mark.process


def arm(*sets, recipe="lead"):
    if sets:
        name = variant_name(load.resolve(recipe).recipe, sets)
        sets = (*sets, f'name="{name}"')
    return DataArm(recipe, load.resolve(recipe, sets=sets).recipe, sets)


def test_runs_are_those_of_yoyak_run_with_seeds():
    from yoyak.experiments.folds import FoldPlan

    plain = arm()
    assert plain.requests(3) == FoldPlan(seeds=3).requests("lead", plain.recipe)
    changed = arm("data.near_duplicates=0.9")
    resolved = [load.resolve(each.recipe, sets=each.sets).recipe for each in changed.requests(2)]
    assert {one.data.near_duplicates for one in resolved} == {0.9}
    assert [one.train.seed for one in resolved] == [42, 43]
    assert len({one.name for one in (*resolved, plain.recipe)}) == 3


def test_equal_sides_and_a_single_seed_are_refused():
    with pytest.raises(UsageError, match="train the same"):
        refuse_equal(arm(), arm("decode.max_new_tokens=9"), 3)
    with pytest.raises(UsageError, match="fewer than 2 seeds"):
        refuse_equal(arm(), arm("data.near_duplicates=0.9"), 1)


def test_settings_outside_data_are_named():
    one = load.resolve("kobart").recipe
    other = load.resolve("kobart", sets=["train.epochs=3", "data.near_duplicates=0.9"]).recipe
    assert other_settings(one, other) == ("train.epochs",)


def test_the_rows_of_dev_under_each_seed_are_compared(workspace, corpus, monkeypatch):
    from yoyak.values import Prediction

    class Planted:
        """Recites a reference where the recipe drops near-duplicates, and half of it elsewhere."""

        def train(self, job):
            pass

        def generate(self, job):
            references = {row.id: row.references for row in corpus.dev.dialogues}
            for dialogue in job.dialogues:
                text = references.get(dialogue.id, ("요약입니다.",))[0]
                if job.recipe.data.near_duplicates is None:
                    text = text[: len(text) // 2]
                yield Prediction(id=dialogue.id, text=text, raw=text)

    monkeypatch.setattr("yoyak.engine.load", lambda _: Planted())
    arms = (arm(), arm("data.near_duplicates=0.9"))
    requests = [request for side in arms for request in side.requests(2)]
    runs = create_runs(workspace, corpus, requests, Project(), ())
    assert conclude(arms, runs, corpus) is None, "nothing is scored yet"
    for run in runs:
        run_stages(StageContext(run, corpus, lambda: False))
    found = conclude(arms, runs, corpus)
    assert found.comparison.difference > 0.2
    assert found.comparison.proven
    assert found.comparison.rows == len(corpus.dev.dialogues)
    assert found.baseline.rows == {"train": len(corpus.train.dialogues)}
    assert found.changed.rows["train"] <= len(corpus.train.dialogues)
    assert found.other_settings == ()
