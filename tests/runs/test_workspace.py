"""All runs of a folder: found again by what they learn, created once."""

import os
import shutil

import msgspec
import pytest

from yoyak.config.schema import BeamSearch
from yoyak.errors import BadData
from yoyak.runs.workspace import Workspace


def make(workspace, recipe, corpus):
    return workspace.find_or_create(recipe, corpus, lambda: b"{}")


def test_nothing_is_written_before_something_is_made(workspace, recipe, corpus):
    assert workspace.runs() == []
    assert workspace.memory.data_folder is None
    assert workspace.find(recipe, corpus) is None
    assert workspace.named("lead") is None
    assert not workspace.folder.exists()


def test_the_same_recipe_and_data_are_the_same_run(workspace, recipe, corpus):
    run = make(workspace, recipe, corpus)
    decoded = msgspec.structs.replace(recipe, decode=BeamSearch(num_beams=3), about="other words")
    assert make(workspace, decoded, corpus).folder == run.folder
    assert [each.name for each in workspace.runs()] == [run.name]


def test_other_learning_or_other_data_is_another_run(workspace, recipe, corpus):
    first = make(workspace, recipe, corpus)
    deeper = msgspec.structs.replace(
        recipe, train=msgspec.structs.replace(recipe.train, epochs=recipe.train.epochs + 1)
    )
    second = make(workspace, deeper, corpus)
    train = msgspec.structs.replace(corpus.train, fingerprint="0" * 64)
    third = make(workspace, recipe, msgspec.structs.replace(corpus, train=train))
    assert [run.name for run in workspace.runs()] == [first.name, second.name, third.name]
    assert len({first.folder, second.folder, third.folder}) == 3


def test_data_that_moved_are_still_the_same_data(workspace, recipe, corpus):
    run = make(workspace, recipe, corpus)
    moved = msgspec.structs.replace(corpus, folder="/somewhere/else")
    assert workspace.find(recipe, moved).folder == run.folder


def test_runs_are_in_order_whatever_the_clock_did(workspace, recipe, corpus, monkeypatch):
    names = []
    for clock, epochs in ((2_000_000_000.0, 1), (1_000_000_000.0, 2), (1_500_000_000.0, 3)):
        monkeypatch.setattr("time.time", lambda clock=clock: clock)
        train = msgspec.structs.replace(recipe.train, epochs=epochs)
        names.append(make(workspace, msgspec.structs.replace(recipe, train=train), corpus).name)
    assert [run.name for run in workspace.runs()] == names
    assert workspace.named("lead").name == names[-1]
    assert workspace.named(names[0]).name == names[0]


@pytest.mark.process
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_of_many_starters_one_creates_the_run(workspace, recipe, corpus):
    pids = []
    for _ in range(6):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                make(workspace, recipe, corpus)
                code = 0
            finally:
                os._exit(code)
        pids.append(pid)
    assert {os.waitpid(pid, 0)[1] for pid in pids} == {0}
    assert len(workspace.runs()) == 1
    assert not [path for path in workspace.runs_folder.iterdir() if ".trash" in path.name]


@pytest.mark.process
def test_a_kill_at_any_step_of_a_creation_leaves_a_whole_run_or_none(
    memory, recipe, corpus, crashes
):
    workspace = Workspace(memory / "workspace")

    def prepare():
        shutil.rmtree(workspace.folder, ignore_errors=True)

    for _ in crashes(prepare, lambda: make(workspace, recipe, corpus)):
        for run in workspace.runs():
            assert run.recipe == recipe
        make(workspace, recipe, corpus)
        assert len(workspace.runs()) == 1
    assert crashes.steps >= 15


def test_the_data_folder_is_remembered(workspace, tmp_path):
    workspace.remember_data(tmp_path)
    assert Workspace(workspace.folder).memory.data_folder == str(tmp_path)
    (workspace.folder / "workspace.json").write_bytes(b"\xff\xff")
    with pytest.raises(BadData, match=r"workspace\.json"):
        _ = workspace.memory


@pytest.mark.parametrize("record", ["identity.json", "recipe.json"])
def test_a_damaged_run_is_named_and_hides_no_other(record, workspace, recipe, corpus):
    good = make(workspace, recipe, corpus)
    shutil.copytree(good.folder, workspace.runs_folder / "damaged")
    (workspace.runs_folder / "damaged" / record).write_bytes(b'{"format": 2, "seq')
    assert [each.name for each in workspace.runs()] == [good.name]
    assert make(workspace, recipe, corpus).folder == good.folder
    assert list(workspace.damaged_runs()) == ["damaged"]
    assert record in str(workspace.damaged_runs()["damaged"])


def test_a_run_of_a_newer_version_is_no_damage(workspace, recipe, corpus):
    run = make(workspace, recipe, corpus)
    path = run.folder / "identity.json"
    path.write_bytes(path.read_bytes().replace(b'"format": 2', b'"format": 999'))
    with pytest.raises(BadData, match="999"):
        workspace.runs()
