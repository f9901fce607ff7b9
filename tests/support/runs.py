"""A process that dies at its k-th step, and something to store."""

import errno
import os
import resource
import signal
import tempfile
import warnings
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import pytest

from yoyak.config import load
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.errors import DiskFull
from yoyak.files import atomic
from yoyak.runs.workspace import Workspace

STEPS = ("open", "write", "pwrite", "fsync", "rename", "mkdir", "unlink", "rmdir", "ftruncate")
KILLED = 9


def in_child(work: Callable[[], object]) -> int:
    """Runs ``work`` in a forked process; its exit code (0 where it ended by itself)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads: it only writes
        pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def die_at(step: int) -> None:
    """Ends this process just before its ``step``-th call that changes a disk.

    A write is cut in half first, as a kill in the middle of it would.
    """
    calls = 0

    def counted(function):
        def call(*words, **named):
            nonlocal calls
            calls += 1
            if calls == step:
                if function.__name__ == "write":
                    function(words[0], words[1][: len(words[1]) // 2])
                os._exit(KILLED)
            return function(*words, **named)

        return call

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))
    atomic.swap_rename = counted(atomic.swap_rename)


class Crashes:
    """Runs a piece of work again and again, killed at each of its steps in turn.

    Args:
        stride: of the first few steps each is taken, then every so many.
    """

    steps = 0

    def __init__(self, stride: int) -> None:
        self._stride = stride

    def __call__(self, prepare: Callable[[], None], work: Callable[[], object]):
        for step in chain(range(1, 6), range(6, 10_000, self._stride)):
            prepare()
            code = in_child(lambda step=step: (die_at(step), work()))
            if code == 0:
                return
            assert code == KILLED, f"step {step} ended with {code}"
            self.steps = step
            yield step
        pytest.fail("the work never came to its end")


@pytest.fixture
def memory(tmp_path: Path):
    """A folder where forcing to the disk costs nothing, for tests that do it a thousand times."""
    ram = Path("/dev/shm")
    if not os.access(ram, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=ram) as folder:
        yield Path(folder)


@pytest.fixture
def crashes(long: bool) -> Crashes:
    return Crashes(stride=1 if long else 3)


@pytest.fixture
def child():
    return in_child


@pytest.fixture
def without_room():
    """Runs ``work`` where no file may outgrow ``limit`` bytes; ENOSPC if that made it fail."""

    def call(limit: int, work: Callable[[], object]) -> int:
        def limited() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            try:
                work()
            except DiskFull:
                os._exit(errno.ENOSPC)

        return in_child(limited)

    return call


@pytest.fixture(scope="session")
def corpus():
    return read_corpus(sample.folder())


@pytest.fixture
def recipe():
    return load.resolve("lead").recipe


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def run(workspace, corpus, recipe):
    return workspace.find_or_create(recipe, corpus, lambda: b"{}")
