"""A finished run, a file of dialogues, and an engine that does what a test says."""

import csv
from collections.abc import Callable

import pytest

from yoyak.config.project import Project
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.prediction import model as model_module
from yoyak.prediction.model import trained_model
from yoyak.prediction.predict import BatchRequest
from yoyak.runs.workspace import Workspace
from yoyak.scheduler.create_runs import create_runs
from yoyak.values import Prediction, StopReason


@pytest.fixture(scope="session")
def lead_run(tmp_path_factory):
    """A run of Lead-n, which needs no weights."""
    workspace = Workspace(tmp_path_factory.mktemp("lead") / "workspace")
    corpus = read_corpus(sample.folder())
    (run,) = create_runs(workspace, corpus, ["lead"], Project(), ())
    return run


@pytest.fixture(scope="session")
def lead_model(lead_run):
    return trained_model(lead_run)


@pytest.fixture
def dialogue_file(tmp_path):
    """Writes a CSV of so many short dialogues, or of the given (id, dialogue) rows."""

    def write(rows, name="in.csv"):
        if isinstance(rows, int):
            rows = [(f"row-{n}", f"#Person1#: {n}번 버스?\n#Person2#: 네.") for n in range(rows)]
        path = tmp_path / name
        with path.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([("id", "dialogue"), *rows])
        return path

    return write


@pytest.fixture
def request_for(tmp_path, lead_model):
    """Makes the request to summarise a file with Lead-n, three rows a shard."""

    def make(source, output=None, **changes):
        request = BatchRequest(source, output or tmp_path / "out", lead_model, {}, shard_rows=3)
        return request._replace(**changes)

    return make


@pytest.fixture
def engine_that(monkeypatch) -> Callable:
    """Puts an engine in the place of the run's, which answers backwards with ``text(dialogue)``.

    ``calls`` of it are the jobs that it got.
    """

    class Fake:
        def __init__(self, text, tokens, stop):
            self.text, self.tokens, self.stop = text, tokens, stop
            self.calls = []

        def generate(self, job):
            self.calls.append(job)
            for dialogue in reversed(job.dialogues):
                text = self.text(dialogue)
                if text is not None:
                    yield Prediction(
                        id=dialogue.id, text=text, raw=text, tokens=self.tokens, stop=self.stop
                    )

    def install(text, tokens=7, stop=StopReason.STOP_TOKEN):
        engine = Fake(text, tokens, stop)
        monkeypatch.setattr(model_module.engines, "load", lambda _: engine)
        return engine

    return install
