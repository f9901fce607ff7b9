"""Steer runs from another process: stop one or all, put one first in line."""

import os
import signal
import socket
import time
from collections.abc import Iterable
from contextlib import suppress

from yoyak.engine import launch
from yoyak.errors import Unavailable, UsageError
from yoyak.events import RunStatus
from yoyak.files import atomic
from yoyak.runs.run import LockHolder, Run
from yoyak.runs.workspace import Workspace

FIRST = "first"
"""File in a run's folder: when somebody asked for it to be the next run."""


def stop_run(run: Run) -> None:
    """Let the worker of ``run`` finish its step, save and exit; the other runs go on.

    Raises:
        UsageError: it is not running.
        Unavailable: it runs on another machine, or belongs to another user.
    """
    holder = run.holder()
    if holder is None:
        raise UsageError("scheduler.not-running", run=run.name, status=run.state().status.value)
    _signal(run, holder, holder.pid)


def stop_all(workspace: Workspace) -> tuple[str, ...]:
    """Stop every command at work on the workspace, as its first Ctrl-C would; return its runs.

    Raises:
        UsageError: nothing is running.
        Unavailable: as ``stop_run``.
    """
    held = {run: holder for run in workspace.runs() if (holder := run.holder()) is not None}
    if not held:
        raise UsageError("scheduler.nothing-running", workspace=workspace.folder)
    asked = set[int]()
    for run, holder in held.items():
        pid = _parent_of(holder)
        if pid not in asked:
            asked.add(pid)
            _signal(run, holder, pid)
    return tuple(run.name for run in held)


def _parent_of(holder: LockHolder) -> int:
    """Return the process that schedules a worker, or the worker where that has gone."""
    import psutil

    with suppress(psutil.Error):  # gone, or not ours to look at
        parent = psutil.Process(holder.pid).parent()
        if parent is not None and launch.__name__ in parent.cmdline():  # below it, several train
            parent = parent.parent()
        if parent is not None and any("yoyak" in part for part in parent.cmdline()):
            return int(parent.pid)
    return holder.pid


def _signal(run: Run, holder: LockHolder, pid: int) -> None:
    if holder.host != socket.gethostname():
        raise Unavailable("scheduler.other-machine", run=run.name, host=holder.host)
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return  # it has just ended
    except PermissionError as error:
        raise Unavailable("scheduler.other-user", run=run.name, pid=pid) from error


def put_first(run: Run) -> None:
    """Make ``run`` the next of its line-up, before every other that waits.

    Raises:
        UsageError: it waits for nothing: it is running or finished.
    """
    status = run.state().status
    if status in {RunStatus.RUNNING, RunStatus.FINISHED}:
        raise UsageError("scheduler.not-waiting", run=run.name, status=status.value)
    atomic.write_text(run.folder / FIRST, f"{time.time_ns()}\n")


def in_order(waiting: Iterable[Run]) -> list[Run]:
    """Return waiting runs: those put first before the others, the last one asked for first."""
    return sorted(waiting, key=_asked_at, reverse=True)


def _asked_at(run: Run) -> int:
    try:
        return int((run.folder / FIRST).read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return 0
