"""One worker process, as its parent sees it: started, monitored, stopped, never orphaned."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from yoyak import messages
from yoyak.config.schema import Recipe
from yoyak.events import AnyEvent, Warned
from yoyak.runs.event_tail import EventTail
from yoyak.runs.liveness import SLOW_KEY, STUCK_KEY, Liveness, is_worker_event
from yoyak.runs.run import Run
from yoyak.scheduler.heartbeat import CpuActivity, Heartbeat, process_tree
from yoyak.scheduler.stages import is_trained_by_ranks
from yoyak.system.probe import threads_for

PYTHON = (sys.executable, "-P")
"""``-P``: a file in the user's current folder must not replace a module of the same name."""
WORKER = (*PYTHON, "-m", "yoyak.scheduler.worker")
LAUNCHER = (*PYTHON, "-m", "yoyak.engine.launch")

GRACE_SECONDS = 60.0
"""How long a worker may take to save and exit when its parent cannot go on itself."""
KILL_SECONDS = 10.0
"""How long a worker may take to exit after the second stop request before it is killed."""
CLEAR_SECONDS = 5.0
"""How long processes that a dead worker left may take to release the run's lock."""
CHECK_SECONDS = 5.0
"""Time between two checks of the watchdog."""


class WorkerProcess:
    """A worker process at work on a run.

    Args:
        run: not locked by anybody else.
        data_folder: where the run's data lie now.
        gpu: value of CUDA_VISIBLE_DEVICES, or ``None`` to leave the environment's.
        processes: that train the run together, where its engine can.
    """

    def __init__(
        self, run: Run, data_folder: Path, gpu: str | None = None, processes: int = 1
    ) -> None:
        self.run = run
        self.gpu = gpu
        self._stops_sent = 0
        self._kill_at = float("inf")
        self._is_cleared = False
        self._tail = EventTail(run.log_path)
        with (run.folder / "worker.log").open("ab") as log:
            self.process = subprocess.Popen(
                worker_command(run, data_folder, processes),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=worker_environment(run.recipe, gpu),
                start_new_session=True,
            )
        self.watchdog = Watchdog(run, self.process.pid)

    def poll(self) -> int | None:
        """Return the exit code once the worker has ended; negative for a signal.

        Processes that it started and left end with it: a fork would keep the GPU and the run's
        lock. A worker that outlives the second stop request, because its interpreter cannot run
        the signal handler, is killed.
        """
        code = self.process.poll()
        if code is None and time.monotonic() >= self._kill_at:
            self._signal(signal.SIGKILL)
            code = self.process.wait()
        if code is not None and not self._is_cleared:
            self._is_cleared = True
            self._kill_remaining()
        return code

    def _kill_remaining(self) -> None:
        with suppress(ProcessLookupError):  # usually nothing is left
            self._signal(signal.SIGKILL)
            until = time.monotonic() + CLEAR_SECONDS
            while self.run.holder() is not None and time.monotonic() < until:
                time.sleep(0.01)  # the kernel closes a killed process's files asynchronously

    def events(self) -> Iterator[AnyEvent]:
        """Yield what the run's log has gained, whoever wrote it."""
        for event in self._tail.read():
            if is_worker_event(event):
                self.watchdog.record_event()
            yield event

    def check(self) -> None:
        """Report in the run's log if the worker is slow or stuck."""
        self.watchdog.check()

    def request_stop(self, requests: int) -> None:
        """Send SIGTERM once per stop request so far: the second one means exit at once.

        One signal a call, because the kernel merges two that are pending.
        """
        if self._stops_sent < requests and self.poll() is None:
            self._stops_sent += 1
            self._signal(signal.SIGTERM)
            if self._stops_sent == 2:
                self._kill_at = time.monotonic() + KILL_SECONDS

    def end(self) -> None:
        """Stop the worker because its parent cannot go on; it may save first."""
        if self.poll() is not None:
            return
        self._signal(signal.SIGTERM)
        try:
            self.process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self.process.wait()

    def _signal(self, number: int) -> None:
        os.killpg(self.process.pid, number)


def worker_command(run: Run, data_folder: Path, processes: int = 1) -> list[str]:
    """Return the command of a worker that this process starts; several train below torchrun."""
    places = [str(run.folder), str(data_folder.absolute())]
    if processes > 1 and is_trained_by_ranks(run.recipe):
        return [*LAUNCHER, str(processes), str(os.getpid()), WORKER[-1], *places]
    return [*WORKER, *places, str(os.getpid())]


class Watchdog:
    """Warns once when its worker becomes slow or stuck, and has it dump its stacks."""

    def __init__(self, run: Run, pid: int) -> None:
        now = time.monotonic()
        self._run = run
        self._pid = pid
        self._heartbeat = Heartbeat(now)
        self._activity = CpuActivity(pid, now)
        self._reported = Liveness.RUNNING
        self._checked_at = now

    def record_event(self) -> None:
        """Note that the worker wrote an event."""
        self._heartbeat.record(time.monotonic())
        self._reported = Liveness.RUNNING

    def check(self) -> None:
        """Check the worker, at most every ``CHECK_SECONDS``."""
        now = time.monotonic()
        if now - self._checked_at < CHECK_SECONDS:
            return
        self._checked_at = now
        liveness = self._heartbeat.liveness(now, is_busy=self._activity.is_busy(now))
        if liveness is Liveness.RUNNING or liveness is self._reported:
            return
        self._reported = liveness
        self._dump_stacks()
        fields = {"minutes": f"{self._heartbeat.silence_seconds(now) / 60:.0f}"}
        key = SLOW_KEY if liveness is Liveness.SLOW else STUCK_KEY
        self._run.emit(Warned(at=time.time(), key=key, fields=fields))

    def _dump_stacks(self) -> None:
        holder = self._run.holder()
        # Before the worker has the lock its handler may not be set, and the signal would kill it.
        if holder is not None and holder.pid in process_tree(self._pid):
            os.kill(holder.pid, signal.SIGUSR1)  # faulthandler writes all stacks to worker.log


def worker_environment(recipe: Recipe, gpu: str | None = None) -> dict[str, str]:
    """Return the worker's environment; what the user has set is kept, but for ``gpu``.

    The number of threads has to be set before any library counts the cores.
    """
    chosen = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}
    return {
        "OMP_NUM_THREADS": str(threads_for(recipe)),
        "TOKENIZERS_PARALLELISM": "false",
        # CUDA then numbers GPUs as nvidia-smi does.
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        # Deterministic cuBLAS needs it when CUDA starts.
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONUNBUFFERED": "1",
        **os.environ,
        "YOYAK_LANG": messages.language(),
        **chosen,
    }
