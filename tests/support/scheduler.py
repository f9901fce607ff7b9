"""A small corpus, engines that misbehave, and runs of them."""

import csv
import os
from pathlib import Path

import pytest

from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.runs.settings import Project
from yoyak.runs.workspace import Workspace
from yoyak.scheduler import create_runs

DOUBLES = Path(__file__).parent / "doubles"


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    """The sample's first rows of each split, as a folder."""
    folder = tmp_path_factory.mktemp("data")
    for name in ("train", "dev", "test"):
        with (sample.folder() / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))[:13]
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
    return folder


@pytest.fixture(scope="session")
def corpus(data):
    return read_corpus(data)


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path / "workspace")


@pytest.fixture(autouse=True)
def doubles(monkeypatch):
    monkeypatch.syspath_prepend(DOUBLES)
    # Before the path there is: workers then run the very sources under test.
    monkeypatch.setenv("PYTHONPATH", str(DOUBLES), prepend=os.pathsep)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def recipe_of(tmp_path):
    """Writes a recipe whose engine is a class of ``doubles`` and returns its path."""

    def write(engine: str, extra: str = "") -> str:
        path = tmp_path / f"{engine.lower()}.toml"
        path.write_text(f'engine = "doubles:{engine}"\n{extra}', encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def runs_of(workspace, corpus, recipe_of):
    """The runs of some doubles, prepared as ``yoyak run`` would."""

    def make(*engines: str, sets: tuple[str, ...] = ()):
        names = [recipe_of(engine) for engine in engines]
        return create_runs.create_runs(workspace, corpus, names, Project(), sets)

    return make


@pytest.fixture
def is_alive():
    def look(pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        status = Path(f"/proc/{pid}/stat")
        return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"

    return look
