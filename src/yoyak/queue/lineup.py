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
from yoyak.events import AnyEvent, Warned
from yoyak.queue import limits
from yoyak.queue.limits import Decision, Stop, Warn
from yoyak.queue.stages import pending
from yoyak.store.project import Limits
from yoyak.store.run import Run
from yoyak.values import Corpus

POLL_SECONDS = 0.2
SAMPLE_SECONDS = 5.0
SILENCE_SECONDS = 300.0
"""A worker that has written no event for this long is asked where it stands."""

OnEvent = Callable[[Run, AnyEvent], None]

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
    """The whole lines that a log has gained since the last look."""

    def __init__(self, path: Path, *, from_start: bool = False) -> None:
        self._path = path
        self._position = path.stat().st_size if path.is_file() and not from_start else 0

    def __call__(self) -> Iterator[AnyEvent]:
        """What was written since the last call."""
        if not self._path.is_file():
            return
        with self._path.open("rb") as stream:
            stream.seek(self._position)
            lines = stream.read()
        whole = lines.rfind(b"\n") + 1
        self._position += whole
        for line in lines[:whole].splitlines():
            yield _EVENT.decode(line)


class Line:
    """Carries out runs one after the other."""

    def __init__(self, corpus: Corpus, on_event: OnEvent, limits_: Limits) -> None:
        self._corpus = corpus
        self._on_event = on_event
        self._limits = limits_
        self._worker: subprocess.Popen[bytes] | None = None
        self._asked = 0

    def carry_out(self, runs: Sequence[Run]) -> list[Outcome]:
        """Brings every run to its end, in order; after a signal the rest is left for later."""
        outcomes = []
        with self._listening():
            for run in runs:
                if self._asked:
                    outcomes.append(Outcome(run, Result.INTERRUPTED))
                elif not pending(run, self._corpus):
                    outcomes.append(Outcome(run, Result.ALREADY_DONE))
                else:
                    outcomes.append(self._one(run))
        return outcomes

    def _one(self, run: Run) -> Outcome:
        tail = Tail(run.log_path)
        with (run.folder / "worker.log").open("ab") as log:
            self._worker = subprocess.Popen(
                [sys.executable, "-m", "yoyak.queue.worker", str(run.folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=worker_environment(),
                start_new_session=True,
            )
        watch = Watch(run, self._worker, self._limits)
        while self._worker.poll() is None:
            heard = self._hand_over(run, tail)
            watch(heard)
            time.sleep(POLL_SECONDS)
        self._hand_over(run, tail)
        code = self._worker.returncode
        self._worker = None
        return Outcome(run, _result(code), code)

    def _hand_over(self, run: Run, tail: Tail) -> bool:
        heard = False
        for event in tail():
            heard = True
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
        if self._worker is not None and self._worker.poll() is None:
            os.killpg(self._worker.pid, signal.SIGTERM)


class Watch:
    """Looks at the machine every few seconds, and at the worker's silence."""

    def __init__(self, run: Run, worker: subprocess.Popen[bytes], limits_: Limits) -> None:
        self._run = run
        self._worker = worker
        self._limits = limits_
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
            self._worker.send_signal(signal.SIGUSR1)  # writes every thread's stack to worker.log
            minutes = f"{SILENCE_SECONDS / 60:.0f}"
            self._warn("queue.silent", {"minutes": minutes})

    def _look(self) -> None:
        readings = limits.read(self._run.folder)
        self._run.emit(readings.sampled(time.time()))
        decision = limits.decide(readings, self._limits)
        if isinstance(decision, Warn | Stop) and type(decision) is not type(self._said):
            self._warn(decision.key, decision.fields)
            if isinstance(decision, Stop):
                os.killpg(self._worker.pid, signal.SIGTERM)
        self._said = decision

    def _warn(self, key: str, fields: dict[str, str]) -> None:
        self._run.emit(Warned(at=time.time(), key=key, fields=fields))


def worker_environment() -> dict[str, str]:
    """The worker's environment: its threads are set before any library counts the cores."""
    return {
        "OMP_NUM_THREADS": str(os.cpu_count() or 1),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONUNBUFFERED": "1",
        **os.environ,
    }


def _result(code: int) -> Result:
    if code == 0:
        return Result.FINISHED
    return Result.INTERRUPTED if code == Interrupted.exit_code or code < 0 else Result.FAILED
