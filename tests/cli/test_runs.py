"""The keys of the live view do what the verbs do."""

import pytest

from yoyak.cli import runs
from yoyak.cli.context import open_context
from yoyak.config import load
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.errors import UsageError
from yoyak.events import Queued
from yoyak.scheduler import control
from yoyak.web.commands import Commands, CommandState, ResumeRun

pytest.importorskip("textual", reason="the [watch] extra is missing")


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    workspace = open_context(None, None).workspace
    recipe = load.resolve("lead").recipe
    run = workspace.find_or_create(recipe, read_corpus(sample.folder()), lambda: b"{}")
    run.emit(Queued(at=1.0, recipe="lead"))
    return run


def test_a_run_is_put_first_and_one_that_is_not_running_is_not_stopped(run):
    controls = runs._controls(open_context(None, None))
    assert run.name in controls.first(run)
    assert (run.folder / control.FIRST).is_file()
    with pytest.raises(UsageError, match="is not running"):
        controls.stop(run)


def test_a_run_is_resumed_by_its_command(run, monkeypatch):
    asked = []

    def start(_, action):
        asked.append(action)
        return CommandState(id=1, command="yoyak run lead", started_at=0.0, code=None, output="")

    monkeypatch.setattr(Commands, "start", start)
    assert "yoyak run lead" in runs._controls(open_context(None, None)).resume(run)
    assert asked == [ResumeRun(run=run.name)]
