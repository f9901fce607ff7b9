"""One worker process, as its parent sees it: started, heard, told to stop, never orphaned."""

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
from yoyak.scheduler.heartbeat import CpuActivity, Heartbeat
from yoyak.system.probe import threads_for

WORKER = (sys.executable, "-m", "yoyak.scheduler.worker")

GRACE_SECONDS = 60.0
"""How long a worker may take to save and leave when its parent cannot go on itself."""
CLEAR_SECONDS = 5.0
"""How long what it left behind may take to let go of the run."""

LOOK_SECONDS = 5.0


class WorkerProcess:
    """A worker process at work on a run.

    Args:
        run: not locked by anybody else.
        data_folder: where the run's data lie now.
        card: value of CUDA_VISIBLE_DEVICES, or ``None`` to leave the environment's.
    """

    def __init__(self, run: Run, data_folder: Path, card: str | None = None) -> None:
        self.run = run
        self.card = card
        self._told = 0
        self._cleared = False
        self._tail = EventTail(run.log_path)
        with (run.folder / "worker.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*WORKER, run.folder, data_folder.absolute(), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=worker_environment(run.recipe, card),
                start_new_session=True,
            )
        self.watchdog = Watchdog(run, self.process.pid)

    def poll(self) -> int | None:
        """The exit code once it has ended; negative for a signal.

        What it had started and left behind ends with it: a fork would hold the card, and the
        run's lock.
        """
        code = self.process.poll()
        if code is not None and not self._cleared:
            self._cleared = True
            self._clear()
        return code

    def _clear(self) -> None:
        with suppress(ProcessLookupError):  # nothing was left, as is usual
            self._signal(signal.SIGKILL)
            until = time.monotonic() + CLEAR_SECONDS
            while self.run.holder() is not None and time.monotonic() < until:
                time.sleep(0.01)  # a killed process lets go of its files in its own time

    def events(self) -> Iterator[AnyEvent]:
        """What its log has gained, by whoever wrote it."""
        for event in self._tail.read():
            if is_worker_event(event):
                self.watchdog.hear()
            yield event

    def tell(self, asked: int) -> None:
        """Tells it once for each time that somebody asked: a second time means at once.

        One signal a call, because two at once are one to the kernel.
        """
        if self._told < asked and self.poll() is None:
            self._told += 1
            self._signal(signal.SIGTERM)

    def see_off(self) -> None:
        """Ends it because its parent cannot go on; it may save first."""
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


class Watchdog:
    """Says once when its worker becomes slow or stuck, and asks it where it stands."""

    def __init__(self, run: Run, pid: int) -> None:
        now = time.monotonic()
        self._run = run
        self._pid = pid
        self._pulse = Heartbeat(now)
        self._effort = CpuActivity(pid, now)
        self._said = Liveness.RUNNING
        self._looked = now

    def hear(self) -> None:
        """Its worker wrote an event."""
        self._pulse.hear(time.monotonic())
        self._said = Liveness.RUNNING

    def look(self) -> None:
        """One look, if it is time for one."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        mood = self._pulse.mood(now, busy=self._effort(now))
        if mood is Liveness.RUNNING or mood is self._said:
            return
        self._said = mood
        self._ask_where_it_stands()
        fields = {"minutes": f"{self._pulse.silence_seconds(now) / 60:.0f}"}
        key = SLOW_KEY if mood is Liveness.SLOW else STUCK_KEY
        self._run.emit(Warned(at=time.time(), key=key, fields=fields))

    def _ask_where_it_stands(self) -> None:
        holder = self._run.holder()
        # Before it has the lock it may not know the signal yet, and would die of it.
        if holder is not None and holder.pid == self._pid:
            os.kill(self._pid, signal.SIGUSR1)  # all stacks go to worker.log


def worker_environment(recipe: Recipe, card: str | None = None) -> dict[str, str]:
    """The worker's environment: its threads are set before any library counts the cores.

    It speaks the language of whoever started it.
    """
    chosen = {} if card is None else {"CUDA_VISIBLE_DEVICES": card}
    return {
        "OMP_NUM_THREADS": str(threads_for(recipe)),
        "TOKENIZERS_PARALLELISM": "false",
        # CUDA then numbers the cards as the driver does.
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        # Without it cuBLAS may add up in another order each time; it is read when CUDA starts.
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONUNBUFFERED": "1",
        **os.environ,
        "YOYAK_LANG": messages.language(),
        **chosen,
    }
