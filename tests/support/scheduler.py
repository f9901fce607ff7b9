"""A small corpus, engines that misbehave, and runs of them."""

import os
from pathlib import Path

import pytest

from yoyak.config.project import Project
from yoyak.scheduler import create_runs

DOUBLES = Path(__file__).parent / "doubles"


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
