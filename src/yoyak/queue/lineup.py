"""The parent: one worker process a run, watched, stopped cleanly, and never orphaned.

This process imports no torch. A run that fails does not end the line-up; a signal asks the worker
to finish its step and save, and the same command goes on later.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import msgspec

from yoyak.errors import Interrupted
from yoyak.events import AnyEvent, Failed, Sampled, Status, Warned
from yoyak.messages import text
from yoyak.queue import limits
from yoyak.queue.limits import Decision, Stop, Warn
from yoyak.queue.stages import is_finished
from yoyak.recipe import Recipe
from yoyak.store.log import read_lines_from
from yoyak.store.project import Limits
from yoyak.store.run import Run
from yoyak.values import Corpus

POLL_SECONDS = 0.2
SAMPLE_SECONDS = 5.0
SILENCE_SECONDS = 300.0
"""A worker that has written no event for this long is asked where it stands."""

GRACE_SECONDS = 60.0
"""How long a worker may take to save and leave when this process cannot go on itself."""

OnEvent = Callable[[Run, AnyEvent], None]

WORKER = (sys.executable, "-m", "yoyak.queue.worker")

_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What somebody else does to a worker; it does not fail by these, it is cut off."""

_EVENT = msgspec.json.Decoder(AnyEvent)


class Result(StrEnum):
    """How a run came out of the line-up."""

    ALREADY_DONE = "already-done"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class Outcome(NamedTuple):
    """One run's result; ``exit_code`` is ``None`` where no worker was needed."""

    run: Run
    result: Result
    exit_code: int | None = None


class Tail:
    """The events that a log has gained since the last look; ``garbled`` lines are counted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = path.stat().st_size if path.is_file() else 0
        self.garbled = 0

    def __call__(self) -> Iterator[AnyEvent]:
        """What was written since the last call."""
        lines, self._position = read_lines_from(self._path, self._position)
        for line in lines:
            try:
                yield _EVENT.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                self.garbled += 1


class Line:
    """Carries out runs one after the other."""

    def __init__(self, corpus: Corpus, on_event: OnEvent, limits_: Limits) -> None:
        self._corpus = corpus
        self._on_event = on_event
        self._limits = limits_
        self._worker: subprocess.Popen[bytes] | None = None
        self._asked = 0
        self._told = 0

    def carry_out(self, runs: Sequence[Run]) -> list[Outcome]:
        """Brings every run to its end, in order; after a signal the rest is left for later."""
        outcomes = []
        with self._listening():
            for run in runs:
                if self._asked:
                    outcomes.append(Outcome(run, Result.INTERRUPTED))
                elif is_finished(run, self._corpus):
                    outcomes.append(Outcome(run, Result.ALREADY_DONE))
                else:
                    outcomes.append(self._one(run))
        return outcomes

    def _one(self, run: Run) -> Outcome:
        if run.holder() is not None:
            self._say_locked(run)
            return Outcome(run, Result.INTERRUPTED, Interrupted.exit_code)
        tail = Tail(run.log_path)
        with self._worker_of(run) as worker:
            watch = Watch(run, worker, self._limits, self._stop)
            while worker.poll() is None:
                watch(self._hand_over(run, tail))
                time.sleep(POLL_SECONDS)
        result = _result(worker.returncode)
        if result is Result.FAILED:
            _record_failure(run, worker.returncode)
        elif result is Result.INTERRUPTED and run.holder() is not None:
            self._say_locked(run)
        self._hand_over(run, tail)
        return Outcome(run, result, worker.returncode)

    @contextmanager
    def _worker_of(self, run: Run) -> Iterator[subprocess.Popen[bytes]]:
        """The run's process, which does not outlive the block."""
        with (run.folder / "worker.log").open("ab") as log:
            worker = subprocess.Popen(
                [*WORKER, run.folder, Path(self._corpus.folder).absolute(), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=worker_environment(run.recipe),
                start_new_session=True,
            )
        self._worker, self._told = worker, 0
        try:
            self._tell()  # if the signal came while there was nobody to pass it on to
            yield worker
        finally:
            self._worker = None
            _see_off(worker)

    def _say_locked(self, run: Run) -> None:
        """Tells who works on the run; its log belongs to that process, so nothing is written."""
        holder = run.holder()
        if holder is not None:
            fields = {"run": run.name, "pid": str(holder.pid), "host": holder.host}
            self._on_event(run, Warned(at=time.time(), key="store.locked", fields=fields))

    def _hand_over(self, run: Run, tail: Tail) -> bool:
        """Passes new events on; whether the worker wrote one of them (samples are our own)."""
        heard = False
        for event in tail():
            heard |= not isinstance(event, Sampled | Warned)
            self._on_event(run, event)
        return heard

    @contextmanager
    def _listening(self) -> Iterator[None]:
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        before = {number: signal.signal(number, self._pass_on) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _pass_on(self, _number: int, _frame: FrameType | None) -> None:
        self._asked += 1
        self._tell()

    def _stop(self) -> None:
        """The machine is in danger: this run saves and leaves, and no other begins."""
        self._asked = max(self._asked, 1)
        self._tell()

    def _tell(self) -> None:
        """Tells the worker once for each time that somebody asked: a second one means at once."""
        worker = self._worker
        if worker is not None and self._told < self._asked and worker.poll() is None:
            self._told = self._asked
            os.killpg(worker.pid, signal.SIGTERM)


class Watch:
    """Looks at the machine every few seconds, and at the worker's silence."""

    def __init__(
        self, run: Run, worker: subprocess.Popen[bytes], limits_: Limits, stop: Callable[[], None]
    ) -> None:
        self._run = run
        self._worker = worker
        self._limits = limits_
        self._stop = stop
        self._looked = float("-inf")
        self._heard = time.monotonic()
        self._said: Decision | None = None
        self._silent = False

    def __call__(self, heard: bool) -> None:
        """One look; ``heard`` says whether the worker wrote an event since the last one."""
        now = time.monotonic()
        if heard:
            self._heard, self._silent = now, False
        if now - self._looked >= SAMPLE_SECONDS:
            self._looked = now
            self._look()
        if now - self._heard >= SILENCE_SECONDS and not self._silent:
            self._silent = True
            holder = self._run.holder()
            # Before it has the lock it may not know the signal yet, and would die of it.
            if holder is not None and holder.pid == self._worker.pid:
                self._worker.send_signal(signal.SIGUSR1)  # all stacks go to worker.log
            minutes = f"{SILENCE_SECONDS / 60:.0f}"
            self._warn("queue.silent", {"minutes": minutes})

    def _look(self) -> None:
        readings = limits.read(self._run.folder)
        decision = limits.decide(readings, self._limits)
        if isinstance(decision, Stop):
            self._stop()  # before anything is written: the disk may be full
        self._run.emit(readings.sampled(time.time()))
        if isinstance(decision, Warn | Stop) and type(decision) is not type(self._said):
            self._warn(decision.key, decision.fields)
        self._said = decision

    def _warn(self, key: str, fields: dict[str, str]) -> None:
        self._run.emit(Warned(at=time.time(), key=key, fields=fields))


def worker_environment(recipe: Recipe) -> dict[str, str]:
    """The worker's environment: its threads are set before any library counts the cores.

    A toy's matrices are too small to share: a second thread gains a fifth on an idle machine and
    waits many times longer than it works on a busy one.
    """
    threads = 1 if recipe.model.scratch is not None else os.cpu_count() or 1
    return {
        "OMP_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONUNBUFFERED": "1",
        **os.environ,
    }


def _see_off(worker: subprocess.Popen[bytes]) -> None:
    """Ends a worker that still runs because this process cannot go on; it may save first."""
    if worker.poll() is not None:
        return
    os.killpg(worker.pid, signal.SIGTERM)
    try:
        worker.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


def _record_failure(run: Run, code: int) -> None:
    """A worker that crashed, or could not even begin, has left no word of its own."""
    if run.state().status is not Status.FAILED:
        found = signal.Signals(-code).name if code < 0 else str(code)
        message = text("queue.worker-died", found=found, log=run.folder / "worker.log")
        run.emit(Failed(at=time.time(), kind="queue.worker-died", message=message))


def _result(code: int) -> Result:
    if code == 0:
        return Result.FINISHED
    if code == Interrupted.exit_code or -code in _FROM_OUTSIDE:
        return Result.INTERRUPTED
    return Result.FAILED
