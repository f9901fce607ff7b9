"""Folds and seeds as ordinary runs, and their out-of-fold summaries as one system."""

import msgspec
import pytest

from yoyak.config import load
from yoyak.config.project import Project
from yoyak.data.training_rows import held_out_split
from yoyak.ensemble.candidates import candidates
from yoyak.errors import BadRecipe
from yoyak.experiments.folds import FoldPlan, score_out_of_fold
from yoyak.metrics.protocol import OFFICIAL
from yoyak.metrics.rouge import corpus_mean, score_rows
from yoyak.runs.fold_scores import fold_scores
from yoyak.scheduler.create_runs import create_runs
from yoyak.scheduler.stages import StageContext, is_finished, run_stages
from yoyak.values import Prediction

pytestmark = pytest.mark.process


def never():
    return False


@pytest.fixture
def members(workspace, corpus):
    """The runs of a plan of Lead-n, created or found."""

    def make(plan):
        recipe = load.resolve("lead").recipe
        requests = plan.requests("lead", recipe)
        return create_runs(workspace, corpus, requests, Project(), ())

    return make


def test_a_plan_of_one_is_the_recipe_itself():
    recipe = load.resolve("kobart").recipe
    assert [request.sets for request in FoldPlan().requests("kobart", recipe)] == [()]


def test_every_seed_has_every_fold_under_a_name_of_its_own(members, corpus):
    runs = members(FoldPlan(folds=2, seeds=2))
    assert [run.recipe.name for run in runs] == [
        f"lead-fold{fold}of2-seed{seed}" for seed in (42, 43) for fold in (1, 2)
    ]
    assert {run.recipe.train.seed for run in runs} == {42, 43}
    assert [run.folder for run in members(FoldPlan(folds=2, seeds=2))] == [
        run.folder for run in runs
    ], "found again"
    held_out = held_out_split(corpus.train, runs[0].recipe.data)
    kept = len(corpus.train.dialogues) - len(held_out.dialogues)
    assert runs[0].provenance.training_rows == {"train": kept}
    assert runs[0].provenance.training_sha256 is not None


def test_seeds_alone_train_on_all_of_train(members):
    runs = members(FoldPlan(seeds=3))
    assert [run.recipe.name for run in runs] == ["lead-seed42", "lead-seed43", "lead-seed44"]
    assert all(run.recipe.data.folds is None for run in runs)


def test_folds_of_folds_are_refused():
    recipe = load.resolve("kobart", sets=["data.folds=2", "data.fold=1"]).recipe
    with pytest.raises(BadRecipe, match="sets folds"):
        FoldPlan(folds=2).requests("kobart", recipe)


def test_out_of_fold_summaries_are_one_system_and_members_are_candidates(
    members, workspace, corpus
):
    plan = FoldPlan(folds=2, seeds=2)
    runs = members(plan)
    for run in runs[:3]:
        run_stages(StageContext(run, corpus, never))
    [first] = score_out_of_fold(workspace, corpus, runs)
    assert first.seed == 42, "the second seed is not whole"
    run_stages(StageContext(runs[3], corpus, never))
    assert all(is_finished(run, corpus) for run in runs)
    one, other = score_out_of_fold(workspace, corpus, runs)
    assert one == first, "stored scores are kept"
    assert fold_scores(workspace) == [one, other]

    said = {each.id: each.text for run in runs[:2] for each in run.predictions("train")}
    assert set(said) == {row.id for row in corpus.train.dialogues}
    references = {row.id: row.references for row in corpus.train.dialogues}
    scores = score_rows(
        [said[row] for row in references], [references[row] for row in references], OFFICIAL
    )
    assert one.card.rouge.mean == pytest.approx(float(corpus_mean(scores, OFFICIAL)[:, 2].mean()))
    assert one.card.n == len(corpus.train.dialogues)
    for run in runs:
        held_out = held_out_split(corpus.train, run.recipe.data)
        assert {each.id for each in run.predictions("train")} == {
            row.id for row in held_out.dialogues
        }
    found = candidates(workspace, corpus)
    assert {each.lineage.system for each in found} == {run.name for run in runs}
    assert all(each.test is not None and not each.stale for each in found)


def test_summaries_that_were_made_again_are_scored_again(members, workspace, corpus):
    runs = members(FoldPlan(folds=2))
    for run in runs:
        run_stages(StageContext(run, corpus, never))
    [before] = score_out_of_fold(workspace, corpus, runs)
    path = runs[0].predictions_path("train")
    lines = path.read_bytes().splitlines()
    changed = msgspec.json.decode(lines[0]) | {"text": "#Person1#은 다른 말을 합니다."}
    path.write_bytes(b"\n".join([msgspec.json.encode(changed), *lines[1:]]) + b"\n")
    [after] = score_out_of_fold(workspace, corpus, runs)
    assert after.outputs != before.outputs
    assert after.card.rouge != before.card.rouge
    assert fold_scores(workspace) == [after]


def test_an_engine_never_sees_the_fold_that_it_is_asked_for(members, corpus, monkeypatch):
    seen = {}

    class Watched:
        def train(self, job):
            seen["train"] = job.train

        def generate(self, job):
            seen[job.dialogues[0].id.partition("_")[0]] = job.train
            for dialogue in job.dialogues:
                yield Prediction(id=dialogue.id, text="요약.", raw="요약.")

    monkeypatch.setattr("yoyak.engine.load", lambda _: Watched())
    run = members(FoldPlan(folds=2))[0]
    run_stages(StageContext(run, corpus, never))
    held_out = {row.id for row in held_out_split(corpus.train, run.recipe.data).dialogues}
    assert len(seen) >= 3, seen.keys()
    for split in seen.values():
        assert {row.id for row in split.dialogues} == {
            row.id for row in corpus.train.dialogues
        } - held_out
