"""Folds, seeds, final runs and data experiments on the real command line."""

import csv
import json

import pytest

from yoyak.data import sample
from yoyak.runs.fold_scores import fold_scores
from yoyak.runs.workspace import Workspace

pytestmark = pytest.mark.process
SMALL = (
    "--set", "train.max_steps=12", "--set", "evaluate.every_epochs=none",
    "--set", "prompt.max_source_tokens=1000", "--set", "decode.min_new_tokens=6",
)  # fmt: skip


@pytest.fixture
def data(tmp_path):
    """A corner of the written sample: 24 rows of train, 12 of dev, 6 of test."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name, count in (("train", 24), ("dev", 12), ("test", 6)):
        with (sample.folder() / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows[:count]])
    return folder


@pytest.mark.slow
def test_folds_and_seeds_end_in_one_table_and_are_not_run_twice(yoyak, data):
    words = ("run", "lead", "--folds", 2, "--seeds", 2, "--data", data)
    said = yoyak(*words)
    assert "Out-of-fold summaries" in said.stdout
    assert "Two runs of one recipe differ by up to 0.00 points" in said.stdout
    workspace = Workspace(yoyak.folder / "workspace")
    assert [(one.seed, one.card.n) for one in fold_scores(workspace)] == [(42, 24), (43, 24)]
    before = {run.name: run.log_path.read_bytes() for run in workspace.runs()}
    assert len(before) == 4
    yoyak(*words)
    assert {run.name: run.log_path.read_bytes() for run in workspace.runs()} == before
    report = json.loads((workspace.report_folder / "report.json").read_text(encoding="utf-8"))
    assert [one["rows"] for one in report["folds"]] == [24, 24]


def test_a_data_experiment_needs_two_sides_and_says_what_is_not_proven(yoyak, data):
    alone = yoyak("experiment", "data", "lead", "--data", data, check=False)
    assert alone.returncode == 2
    assert "one recipe compares nothing" in alone.stderr
    words = ("experiment", "data", "lead", "--with", "data.near_duplicates=0.9", "--data", data)
    said = yoyak(*words, "--seeds", 2)
    assert "Not proven: lead-data-" in said.stdout
    found = json.loads(yoyak(*words, "--seeds", 2, "--json").stdout)
    assert found["comparison"]["difference"] == 0.0
    assert found["seeds_needed"] in {None, 2}
    assert len(Workspace(yoyak.folder / "workspace").runs()) == 4


def test_a_final_run_alone_and_after_its_model(yoyak, data):
    both = yoyak("run", "lead", "--final", "--seeds", 2, "--data", data, check=False)
    assert both.returncode == 2
    assert "leave out --folds and --seeds" in both.stderr
    first = yoyak("run", "lead", "--final", "--data", data, check=False)
    assert "no finished run on train alone" in first.stderr


@pytest.mark.slow
@pytest.mark.torch
def test_two_folds_and_two_seeds_of_a_model_feed_the_blend(yoyak, data):
    pytest.importorskip("torch")
    said = yoyak("run", "tiny-bart", "--folds", 2, "--seeds", 2, "--data", data, *SMALL)
    assert "Out-of-fold summaries" in said.stdout
    workspace = Workspace(yoyak.folder / "workspace")
    first, second = fold_scores(workspace)
    assert first.card.n == second.card.n == 24
    assert first.card.rouge != second.card.rouge, "another seed, another model"
    blended = yoyak("submit", "--blend", "mbr")
    assert blended.returncode == 0
    yoyak("run", "tiny-bart", "--data", data, *SMALL)
    final = yoyak("run", "tiny-bart", "--final", "--data", data, *SMALL)
    assert "has no dev score of its own" in final.stderr
    runs = {run.recipe.name: run for run in workspace.runs()}
    assert runs["tiny-bart-final"].state().prepared.rows == 36
    assert runs["tiny-bart-final"].scorecard("dev") is None
