"""The real command line, in a folder of its own."""

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from support.cluster import *  # noqa: F403
from support.forked_worker import use_forked_workers
from yoyak.cli import main
from yoyak.data import sample


class Said(NamedTuple):
    """What a call left behind."""

    returncode: int
    stdout: str
    stderr: str


class CommandLine:
    """Runs ``yoyak WORDS`` in ``folder`` as a user would.

    In this process, with forked workers, which spares each call the start of others;
    ``in_a_process`` is for the tests whose point that is. An error that ``yoyak`` does not know of
    fails the test either way.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *words: object, check: bool = True) -> Said:
        stdout, stderr = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
            patch.setenv("YOYAK_LANG", "en")
            patch.setenv("OMP_NUM_THREADS", "1")
            patch.chdir(self.folder)
            use_forked_workers(patch)
            stack.enter_context(contextlib.redirect_stdout(stdout))
            stack.enter_context(contextlib.redirect_stderr(stderr))
            ended = stack.enter_context(pytest.raises(SystemExit))
            main([str(word) for word in words])
        code = ended.value.code or 0
        return self._checked(Said(code, stdout.getvalue(), stderr.getvalue()), check)

    def in_a_process(self, *words: object, check: bool = True) -> Said:
        """The same in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "yoyak", *map(str, words)],
            cwd=self.folder, capture_output=True, text=True, timeout=300, check=False,
            env={**os.environ, "YOYAK_LANG": "en", "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        return self._checked(Said(done.returncode, done.stdout, done.stderr), check)

    def _checked(self, said: Said, check: bool) -> Said:
        if check and said.returncode:
            pytest.fail(f"exit {said.returncode}\n{said.stdout}\n{said.stderr}")
        return said


def pytest_collection_modifyitems(items):
    """Journeys go through the command line, most of them in processes of its own."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.process)


@pytest.fixture(scope="session")
def command_line():
    """Makes the command line of a folder."""
    return CommandLine


@pytest.fixture
def yoyak(tmp_path):
    """A fresh folder's command line."""
    return CommandLine(tmp_path)


@pytest.fixture(scope="session")
def road(tmp_path_factory):
    """The command line of a folder in which the floor has been run to its submission."""
    yoyak = CommandLine(tmp_path_factory.mktemp("road"))
    yoyak.said = yoyak.in_a_process("run", "lead", "--data", sample.folder())
    return yoyak
