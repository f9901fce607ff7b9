"""The parent: one worker process a run and one run a card, watched and never orphaned.

This process imports no torch. A run that fails does not end the line-up; one whose worker was
killed is taken up again, one that has no memory gets smaller passes. A signal asks the workers to
finish their step and save, and the same command goes on later.
"""

import os
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from yoyak.errors import DiskFull, Interrupted, YoyakError
from yoyak.events import AnyEvent, Failed, RunStatus, Warned
from yoyak.messages import text
from yoyak.runs.run import Run
from yoyak.runs.settings import ResourceLimits
from yoyak.scheduler import retry_policy
from yoyak.scheduler.resource_monitor import DISK_KEYS, ResourceMonitor
from yoyak.scheduler.retry_policy import RetryAction, RetryCounts
from yoyak.scheduler.stages import is_finished
from yoyak.scheduler.worker_process import WorkerProcess
from yoyak.system.probe import gpus
from yoyak.values import Corpus

POLL_SECONDS = 0.2

OnEvent = Callable[[Run, AnyEvent], None]


class RunResult(StrEnum):
    """How a run came out of the line-up."""

    ALREADY_DONE = "already-done"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class RunOutcome(NamedTuple):
    """One run's result; ``exit_code`` is ``None`` where no worker was needed."""

    run: Run
    result: RunResult
    exit_code: int | None = None


class Scheduler:
    """Carries out runs in order, as many at a time as there are cards for (one without a card).

    Args:
        corpus: the data of all runs.
        on_event: told every event of every run, to show it.
        limits_: when the machine is in danger.
        cards: what each worker's CUDA_VISIBLE_DEVICES becomes; default: every card to be seen.
    """

    def __init__(
        self,
        corpus: Corpus,
        on_event: OnEvent,
        limits_: ResourceLimits,
        cards: Sequence[str | None] | None = None,
    ) -> None:
        self._corpus = corpus
        self._on_event = on_event
        self._governor = ResourceMonitor(limits_, self._stop)
        self._cards = visible_gpus() if cards is None else tuple(cards)
        self._waiting: deque[Run] = deque()
        self._children: list[WorkerProcess] = []
        self._restarts: Counter[str] = Counter()
        self._rungs: Counter[str] = Counter()
        self._asked = 0

    @property
    def danger(self) -> YoyakError | None:
        """Why the line-up stopped by itself: 74 where the disk was the reason, else 75."""
        stop = self._governor.danger
        if stop is None:
            return None
        about_disk = stop.key in DISK_KEYS or stop.key == "scheduler.disk-unknown"
        return (DiskFull if about_disk else Interrupted)(stop.key, **stop.fields)

    def carry_out(self, runs: Sequence[Run]) -> list[RunOutcome]:
        """Brings every run to its end; after a signal the rest is left for later."""
        outcomes: dict[str, RunOutcome] = {}
        self._waiting.extend(runs)
        with self._listening():
            try:
                while self._waiting or self._children:
                    for outcome in (*self._begun(), *self._ended()):
                        outcomes[outcome.run.name] = outcome
                    self._watch()
            finally:
                for child in self._children:
                    child.see_off()
        return [outcomes[run.name] for run in runs]

    # --- runs come and go ------------------------------------------------------------------------

    def _begun(self) -> Iterator[RunOutcome]:
        """Gives a free card to the next run; those that need no worker come out at once."""
        while self._waiting and (self._asked or self._free_cards()):
            run = self._waiting.popleft()
            if self._asked:
                yield RunOutcome(run, RunResult.INTERRUPTED)
            elif is_finished(run, self._corpus):
                yield RunOutcome(run, RunResult.ALREADY_DONE)
            elif run.holder() is not None:
                self._say_locked(run)
                yield RunOutcome(run, RunResult.INTERRUPTED, Interrupted.exit_code)
            else:
                card = self._free_cards()[0]
                self._children.append(WorkerProcess(run, Path(self._corpus.folder), card))

    def _free_cards(self) -> list[str | None]:
        taken = [child.card for child in self._children]
        return [card for card in self._cards if card not in taken]

    def _ended(self) -> Iterator[RunOutcome]:
        for child in tuple(self._children):
            code = child.poll()
            if code is None:
                continue
            self._children.remove(child)
            outcome = self._judged(child, code)
            self._hand_over(child)
            if outcome is not None:
                yield outcome

    def _judged(self, child: WorkerProcess, code: int) -> RunOutcome | None:
        """What became of the run, or nothing if it goes on in a new worker."""
        run = child.run
        state = run.state()
        tries = RetryCounts(self._restarts[run.name], self._rungs[run.name])
        verdict = retry_policy.decide(code, state.failed, tries)
        if verdict in {RetryAction.AGAIN, RetryAction.SMALLER} and not self._asked:
            self._take_up_again(run, verdict, code)
            return None
        if verdict is RetryAction.INTERRUPTED or self._asked:
            if code == Interrupted.exit_code:
                self._say_locked(run)
            return RunOutcome(run, RunResult.INTERRUPTED, code)
        if verdict is RetryAction.FINISHED:
            return RunOutcome(run, RunResult.FINISHED, code)
        if state.status is not RunStatus.FAILED:
            _record_death(run, code)
        return RunOutcome(run, RunResult.FAILED, code)

    def _take_up_again(self, run: Run, verdict: RetryAction, code: int) -> None:
        if verdict is RetryAction.AGAIN:
            self._restarts[run.name] += 1
            key, fields = "scheduler.taken-up-again", {"found": _signal_name(code)}
        else:
            self._rungs[run.name] += 1
            smaller = retry_policy.with_smaller_batches(
                run.recipe, retry_policy.oom_retry_level(run.events()) + 1
            ).train
            rows, tokens = str(smaller.micro_batch_size), str(smaller.micro_batch_tokens)
            fields = {"rows": rows, "tokens": tokens, "batch": str(smaller.batch_size)}
            key = retry_policy.SMALLER_KEY
        run.emit(Warned(at=time.time(), key=key, fields=fields))
        self._waiting.appendleft(run)

    # --- while they work -------------------------------------------------------------------------

    def _watch(self) -> None:
        self._tell()  # if a signal came while a worker was being started
        for child in self._children:
            self._hand_over(child)
            child.watchdog.look()
        bases = [base for run in self._waiting if (base := run.recipe.model.base) is not None]
        self._governor.look([child.run for child in self._children], bases)
        if self._children:
            time.sleep(POLL_SECONDS)

    def _hand_over(self, child: WorkerProcess) -> None:
        for event in child.events():
            self._on_event(child.run, event)

    def _say_locked(self, run: Run) -> None:
        """Tells who works on the run; its log belongs to that process, so nothing is written."""
        holder = run.holder()
        if holder is not None:
            fields = {"run": run.name, "pid": str(holder.pid), "host": holder.host}
            self._on_event(run, Warned(at=time.time(), key="runs.locked", fields=fields))

    # --- being asked to stop ---------------------------------------------------------------------

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
        """The machine is in danger: the runs save and leave, and no other begins."""
        self._asked = max(self._asked, 1)
        self._tell()

    def _tell(self) -> None:
        for child in self._children:
            child.tell(self._asked)


def visible_gpus() -> tuple[str | None, ...]:
    """One place for every card that may be used; one place without any card."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return tuple(card.strip() for card in named.split(",") if card.strip()) or (None,)
    return tuple(str(gpu.index) for gpu in gpus()) or (None,)


def _record_death(run: Run, code: int) -> None:
    """A worker that crashed, or could not even begin, has left no word of its own."""
    found = _signal_name(code) if code < 0 else str(code)
    message = text("scheduler.worker-died", found=found, log=run.folder / "worker.log")
    run.emit(Failed(at=time.time(), kind="scheduler.worker-died", message=message))


def _signal_name(code: int) -> str:
    return signal.Signals(-code).name
