"""The other processes of a run that several cards train: started by its worker, and gone with it.

They find each other as ``torchrun``'s do, by RANK, WORLD_SIZE and MASTER_PORT; the worker is rank 0
and alone holds the lock and writes. Started by hand rather than by ``torchrun``, whose agent would
stand between the line-up and its worker: exit codes and signals would be the agent's.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from yoyak.errors import Interrupted

HANG_SECONDS = 30.0
"""How long the worker may fail to notice that a rank is gone before it shares its fate."""
SETTLE_SECONDS = 2.0
LEAVE_SECONDS = 10.0

Others = Sequence["subprocess.Popen[bytes]"]


def rank() -> int:
    """Which of a run's processes this is; 0 is its worker."""
    return int(os.environ.get("RANK", "0"))


@contextmanager
def beside(run_folder: Path, data_folder: Path, processes: int) -> Iterator[None]:
    """Lets so many processes train the run together inside the block, this one included.

    A rank that is killed takes this process with it, by the same signal: to whoever started the
    worker it looks as if the worker itself had been killed, and that is what it has to act on.
    """
    if processes == 1 or "WORLD_SIZE" in os.environ:  # alone, or started by torchrun itself
        yield
        return
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    with _environment({**meeting, **_place(0, processes)}):
        others = [
            _started(run_folder, data_folder, _place(each, processes))
            for each in range(1, processes)
        ]
        over = threading.Event()
        for other in others:
            threading.Thread(target=_watch, args=(other, over), daemon=True).start()
        try:
            yield
        except Interrupted:
            raise
        except BaseException:
            _share_their_fate(others)
            for other in others:
                other.kill()
            raise
        finally:
            over.set()
            _see_off(others)


def _place(rank: int, processes: int) -> dict[str, str]:
    size = str(processes)
    ranks = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    return ranks | {"WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}


def _started(run: Path, data: Path, place: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    # In the worker's session and process group: a signal to the group reaches every rank.
    module = ("-m", "yoyak.scheduler.worker")
    words = [sys.executable, *module, str(run), str(data.absolute()), str(os.getpid())]
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, env={**os.environ, **place})


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            del os.environ[name]


def _watch(other: "subprocess.Popen[bytes]", over: threading.Event) -> None:
    """The last resort: this process waits for a rank that is gone and does not notice."""
    code = other.wait()
    if code not in (0, Interrupted.exit_code) and not over.wait(HANG_SECONDS):
        os.kill(os.getpid(), -code if code < 0 else signal.SIGABRT)


def _share_their_fate(others: Others) -> None:
    until = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < until and all(other.poll() is None for other in others):
        time.sleep(0.05)
    for other in others:
        code = other.poll()
        if code is not None and code < 0:
            os.kill(os.getpid(), -code)


def _see_off(others: Others) -> None:
    for other in others:
        try:
            other.wait(LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            other.kill()
            other.wait()
