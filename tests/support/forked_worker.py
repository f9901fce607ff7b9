"""A worker process that is forked from this one, which has imported everything already.

It stands in for ``subprocess.Popen`` in ``scheduler.worker_process``: the real command line and the
real worker run, only the interpreter's start is spared. ``kill_after_step`` has the first worker of
a run killed as soon as the checkpoint of that step is whole.
"""

import os
import signal
import subprocess
import sys
import time
import traceback
import warnings
from pathlib import Path

import pytest

__all__ = ["forked_workers"]


class ForkedWorker:
    """The part of ``subprocess.Popen`` that ``WorkerProcess`` uses."""

    kill_after_step: int | None = None

    def __init__(self, words, *, stdout, env, **_settings) -> None:
        *_, folder, data, parent = words
        self.returncode: int | None = None
        leads, led = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads
            self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                os.setsid()
                os.close(led)
                os.dup2(stdout.fileno(), 1)
                os.dup2(stdout.fileno(), 2)
                sys.stdout = sys.stderr = os.fdopen(1, "w", encoding="utf-8", buffering=1)
                os.environ.clear()
                os.environ.update(env)
                code = _work(Path(folder), Path(data), int(parent), self.kill_after_step)
            except BaseException:  # noqa: BLE001 -- as an interpreter's own end would
                traceback.print_exc()
            os._exit(code)
        os.close(led)
        os.read(leads, 1)  # as after Popen, signals reach it by its group from here on
        os.close(leads)

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        until = float("inf") if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired("worker", timeout or 0.0)
            time.sleep(0.01)
        return self.returncode or 0


def _work(folder: Path, data: Path, parent: int, kill_after_step: int | None) -> int:
    from yoyak.events import CheckpointSaved
    from yoyak.runs.run import Run
    from yoyak.scheduler import worker

    if kill_after_step is not None and not Run(folder).state().attempts:
        emit = Run.emit

        def emit_and_die(self, event):
            emit(self, event)
            if isinstance(event, CheckpointSaved) and event.step == kill_after_step:
                os.kill(os.getpid(), signal.SIGKILL)

        Run.emit = emit_and_die
    return worker.main(folder, data, parent)


def _module_of(worker: type[ForkedWorker]) -> type:
    class Module:
        Popen = worker
        DEVNULL = subprocess.DEVNULL
        TimeoutExpired = subprocess.TimeoutExpired

    return Module


def use_forked_workers(patch: pytest.MonkeyPatch | None = None) -> type[ForkedWorker]:
    """Fork all workers of this process from now on, or until ``patch`` is undone."""
    from yoyak.scheduler import worker_process

    class Worker(ForkedWorker):
        pass

    (patch or pytest.MonkeyPatch()).setattr(worker_process, "subprocess", _module_of(Worker))
    return Worker


@pytest.fixture
def forked_workers(monkeypatch):
    """Workers of this test are forked; returns their class."""
    return use_forked_workers(monkeypatch)
