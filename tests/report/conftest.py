"""Fixtures of these tests."""

import shutil

import msgspec
import pytest

from support.report import *  # noqa: F403
from support.terminal import *  # noqa: F403
from yoyak.config import load
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.events import Queued, Started
from yoyak.runs.workspace import Workspace
from yoyak.scheduler import provenance
from yoyak.scheduler.stages import StageContext, run_stages


@pytest.fixture(scope="session")
def corpus():
    return read_corpus(sample.folder())


@pytest.fixture(scope="session")
def _scored(tmp_path_factory, corpus):
    workspace = Workspace(tmp_path_factory.mktemp("scored") / "workspace")
    recipe = load.resolve("lead").recipe
    record = msgspec.json.encode(provenance.gather(corpus))
    run = workspace.find_or_create(recipe, corpus, lambda: record)
    run.emit(Queued(at=1.0, recipe="lead"))
    run.emit(Started(at=2.0, pid=1, host="box", attempt=1))
    run_stages(StageContext(run, corpus, lambda: False))
    return workspace.folder


@pytest.fixture
def workspace(tmp_path, _scored):
    """A workspace with one finished run of the first turns, made by the queue's own code."""
    return Workspace(shutil.copytree(_scored, tmp_path / "workspace"))
