"""What works beside a line-up is shown when it fails, and never in the line-up's way."""

import io
import sys
import time

import msgspec
import pytest

from yoyak.config import load
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.errors import UsageError
from yoyak.events import Finished, Queued
from yoyak.messages import fill
from yoyak.report import beside
from yoyak.report.beside import Beside
from yoyak.runs import provenance
from yoyak.runs.settings import Backups, Mirrors, Project
from yoyak.runs.workspace import Workspace

BACKED_UP = Project(backup=Backups(after_each_run=True))
DONE = Finished(at=1.0, seconds=1.0)


@pytest.fixture
def run(tmp_path):
    corpus = read_corpus(sample.folder())
    record = msgspec.json.encode(provenance.gather(corpus))
    return Workspace(tmp_path / "workspace").find_or_create(
        load.resolve("lead").recipe, corpus, lambda: record
    )


@pytest.fixture
def does(monkeypatch, tmp_path):
    """Makes the module that a process beside the line-up is, out of a few lines of Python."""

    def write(name, code):
        (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        start = beside.Beside._start
        monkeypatch.setattr(
            Beside, "_start", lambda self, what, _, *words: start(self, what, name, *words)
        )

    return write


def workspace_of(run):
    return Workspace(run.folder.parents[1])


def heard(process, run, events, until):
    """What is shown of ``events``, and of more looks until ``until`` holds."""
    shown = []
    hear = process.listening(lambda _, event: shown.append(event))
    for event in events:
        hear(run, event)
    deadline = time.monotonic() + 20
    while not until(shown) and time.monotonic() < deadline:
        time.sleep(0.05)
        hear(run, Queued(at=1.0, recipe="lead"))
    return [fill(one.key, one.fields) for one in shown if hasattr(one, "key")]


def test_a_tracker_that_dies_is_shown_once_and_the_log_knows_nothing(run, does):
    does("dying", "import sys; sys.exit('no route to the tracker')")
    run.emit(Queued(at=1.0, recipe="lead"))
    before = run.log_path.read_bytes()
    said = io.StringIO()
    with Beside(workspace_of(run), Project(mirror=Mirrors(trackers=("wandb",))), said) as process:
        told = heard(process, run, [], lambda shown: any(hasattr(one, "key") for one in shown))
    assert len(told) == 1
    assert "no route to the tracker" in told[0]
    assert "yoyak report --mirror wandb" in told[0]
    assert said.getvalue() == ""
    assert run.log_path.read_bytes() == before


def test_a_tracker_that_hangs_is_asked_and_then_ended(run, does, monkeypatch):
    does("hanging", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)")
    monkeypatch.setattr(beside, "GRACE_SECONDS", 0.5)
    said = io.StringIO()
    began = time.monotonic()
    with Beside(workspace_of(run), Project(mirror=Mirrors(trackers=("wandb",))), said):
        time.sleep(0.5)
    assert time.monotonic() - began < 20
    assert "wandb" in said.getvalue()


def test_backups_come_one_at_a_time_and_once_more_at_the_end(run, does, tmp_path):
    does(
        "counting",
        f"import time; open({str(tmp_path / 'count')!r}, 'a').write('x'); time.sleep(0.5);"
        "print('backed up')",
    )
    said = io.StringIO()
    with Beside(workspace_of(run), BACKED_UP, said) as process:
        hear = process.listening(lambda *_: None)
        for _ in range(3):
            hear(run, DONE)
    assert (tmp_path / "count").read_text() == "xx", "one at the first end, one for all the rest"
    assert said.getvalue().splitlines() == ["backed up", "backed up"]


def test_a_backup_that_fails_is_shown_with_its_reason(run, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    said = io.StringIO()
    with Beside(workspace_of(run), BACKED_UP, said) as process:
        told = heard(process, run, [DONE], lambda shown: any(hasattr(one, "key") for one in shown))
    assert "git init" in told[0]
    assert "Training goes on" in told[0]
    assert "git init" in said.getvalue(), "and again at the end, where it is read"


def test_what_is_not_switched_on_does_not_start(run):
    said = io.StringIO()
    with Beside(workspace_of(run), Project(), said) as process:
        process.listening(lambda *_: None)(run, DONE)
    assert said.getvalue() == ""
    assert not (workspace_of(run).report_folder / "beside").exists()


def test_a_process_that_cannot_be_started_is_shown_like_one_that_failed(run, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    said = io.StringIO()
    with Beside(workspace_of(run), Project(mirror=Mirrors(trackers=("wandb",))), said):
        pass
    assert "/nowhere/python" in said.getvalue()


def test_an_unknown_tracker_is_refused_before_anything_burns(run):
    with pytest.raises(UsageError, match="tensorboard"):
        Beside(workspace_of(run), Project(mirror=Mirrors(trackers=("mlflow",))), io.StringIO())
