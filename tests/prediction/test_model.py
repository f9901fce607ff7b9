"""Which run summarises, and what it needs of its data."""

import shutil
import time

import msgspec
import pytest

from support.exports import record_of
from yoyak.config import load
from yoyak.config.project import Project
from yoyak.config.schema import Greedy, PromptSettings
from yoyak.data.corpus import read_corpus
from yoyak.engine.exported import FILE
from yoyak.errors import BadData, BadRecipe, InputMissing
from yoyak.events import Finished
from yoyak.prediction.model import exported_model, only_finished_run, trained_model
from yoyak.runs.stage_records import own_predict_inputs
from yoyak.runs.workspace import Workspace
from yoyak.scheduler.create_runs import create_runs

pytestmark = pytest.mark.process


@pytest.fixture
def export_folder(tmp_path):
    """A folder as an export leaves it, with a file in the place of weights."""

    def make(**fields):
        recipe = load.resolve("tiny-bart").recipe
        folder = tmp_path / "model"
        folder.mkdir()
        (folder / FILE).write_bytes(msgspec.json.encode(record_of(recipe, "merged", **fields)))
        (folder / "recipe.json").write_bytes(msgspec.json.encode(recipe))
        (folder / "model.safetensors").write_bytes(b"weights")
        (folder / "README.md").write_text("card", encoding="utf-8")
        return folder

    return make


@pytest.fixture
def run_of(tmp_path, data):
    """Makes the run of a recipe on a copy of the data, which may be changed."""
    folder = tmp_path / "data"
    shutil.copytree(data, folder)

    def make(recipe, *sets):
        workspace = Workspace(tmp_path / "workspace")
        (run,) = create_runs(workspace, read_corpus(folder), [recipe], Project(), sets)
        return run

    make.data = folder
    return make


def finish(run):
    run.emit(Finished(at=time.time(), seconds=1.0))
    return run


def test_a_model_is_bound_to_what_the_runs_own_predictions_are_bound_to(run_of):
    run = run_of("lead")
    corpus = read_corpus(run_of.data)
    found = trained_model(run)
    own = own_predict_inputs(run, corpus.test).parts
    assert {name: part for name, part in found.parts.items() if name != "data"} == {
        name: part for name, part in own.items() if name != "data"
    }
    assert found.parts["data"] == corpus.train.fingerprint
    assert found.train == corpus.train


def test_changed_training_rows_are_refused(run_of):
    run = run_of("lead")
    path = run_of.data / "train.csv"
    path.write_text(path.read_text("utf-8").replace("#Person1#", "#Person3#", 1), "utf-8")
    with pytest.raises(BadData, match="trained on other rows"):
        trained_model(run)


@pytest.mark.parametrize(
    ("recipe", "sets", "needed"),
    [
        ("lead", (), True),
        ("tiny-bart", (), False),
        ("tiny-bart", ("decode.length_cap_quantile=0.9",), True),
        ("tiny-qlora", ("train.epochs=0", "prompt.examples=1"), True),
    ],
)
def test_data_that_is_gone_is_missed_only_where_it_is_needed(run_of, recipe, sets, needed):
    run = run_of(recipe, *sets)
    expected = trained_model(run)
    shutil.rmtree(run_of.data)
    if needed:
        with pytest.raises(InputMissing, match=r"train\.csv"):
            trained_model(run)
        return
    found = trained_model(run)
    assert found.parts == expected.parts
    assert found.train.dialogues == ()


def test_the_only_finished_run_is_taken_and_of_several_none(run_of):
    workspace = Workspace(run_of.data.parent / "workspace")
    with pytest.raises(InputMissing, match="no finished run"):
        only_finished_run(workspace)
    first = finish(run_of("lead"))
    second = run_of("tiny-bart")
    assert only_finished_run(workspace).name == first.name
    finish(second)
    with pytest.raises(InputMissing, match=f"2 finished runs.*{second.name}, {first.name} → --run"):
        only_finished_run(workspace)


def test_an_exported_folder_answers_as_its_record_says(export_folder):
    folder = export_folder(decode=Greedy(max_new_tokens=7))
    found = exported_model(folder)
    assert found.name == "run-1"
    assert found.recipe.decode == Greedy(max_new_tokens=7)
    assert found.train.dialogues == ()


def test_an_exported_folder_is_bound_to_its_files_but_not_to_its_card(export_folder, tmp_path):
    folder = export_folder()
    before = exported_model(folder)
    (folder / "README.md").write_text("edited", encoding="utf-8")
    moved = folder.rename(tmp_path / "elsewhere")
    assert exported_model(moved).parts == before.parts, "one output goes on from wherever it is"
    found = exported_model(moved)
    found.require_unchanged()
    (moved / "model.safetensors").write_bytes(b"others")
    assert exported_model(moved).parts != before.parts
    with pytest.raises(BadData, match="replaced"):
        found.require_unchanged()


def test_a_folder_that_does_not_say_how_it_is_used_is_refused(export_folder, tmp_path):
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputMissing, match="yoyak export"):
        exported_model(tmp_path)
    folder = export_folder(prompt=PromptSettings(style="chat", examples=2))
    with pytest.raises(BadRecipe, match="--run"):
        exported_model(folder)
    (folder / "recipe.json").unlink()
    with pytest.raises(InputMissing):
        exported_model(folder)
