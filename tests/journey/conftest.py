"""The real command line, in a folder of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


class CommandLine:
    """Runs ``yoyak WORDS`` in ``folder`` as a user would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *words: object, check: bool = True, **environment: str):
        done = subprocess.run(
            [sys.executable, "-m", "yoyak", *map(str, words)],
            cwd=self.folder, capture_output=True, text=True, timeout=300, check=False,
            env={**os.environ, "YOYAK_LANG": "en", "OMP_NUM_THREADS": "1", **environment},
        )  # fmt: skip
        if check and done.returncode:
            pytest.fail(f"exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done


@pytest.fixture
def yoyak(tmp_path):
    """A fresh folder's command line."""
    return CommandLine(tmp_path)


@pytest.fixture(scope="session")
def road(tmp_path_factory):
    """The command line of a folder in which the floor has been run to its submission."""
    yoyak = CommandLine(tmp_path_factory.mktemp("road"))
    yoyak.said = yoyak("run", "lead")
    return yoyak
