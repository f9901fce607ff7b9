"""Schedule runs: a worker process per run, watched and never orphaned.

Where workers run is up to a ``Placement``: the GPUs or cores of this machine
(``yoyak.scheduler.local_machine``), or a cluster. The parent process imports no torch. A failed run
does not end the others; a killed worker is restarted, a run that is out of memory is retried with
smaller batches. The first SIGTERM, SIGINT or SIGHUP lets the workers finish their step and save,
the second ends them at once; either way the same command resumes later.
"""

import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from yoyak.config.project import ResourceLimits
from yoyak.errors import DiskFull, Interrupted, RunFailed, YoyakError
from yoyak.events import AnyEvent, Failed, MessageRecord, RunStatus, Warned
from yoyak.runs.run import Run
from yoyak.runs.stop_signals import on_stop_signal
from yoyak.scheduler import retry_policy
from yoyak.scheduler.control import in_order
from yoyak.scheduler.local_machine import LocalMachine
from yoyak.scheduler.placement import Placement, Worker
from yoyak.scheduler.resource_monitor import DISK_KEYS, ResourceMonitor
from yoyak.scheduler.retry_policy import RetryAction, RetryCounts
from yoyak.scheduler.stages import is_finished
from yoyak.scheduler.worker_process import WorkerProcess
from yoyak.values import Corpus

POLL_SECONDS = 0.2

OnEvent = Callable[[Run, AnyEvent], None]


class RunResult(StrEnum):
    """How a run ended in this process."""

    ALREADY_DONE = "already-done"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class RunOutcome(NamedTuple):
    """One run's result; ``exit_code`` is ``None`` where no worker was started."""

    run: Run
    result: RunResult
    exit_code: int | None = None


class Scheduler:
    """Runs in order, as many at a time as there is room for.

    Args:
        corpus: the data of all runs.
        on_event: called with every event of every run, to show it.
        limits_: resource limits at which all runs of this machine are stopped.
        placement: where workers run; default: on this machine, one process per run.
    """

    def __init__(
        self,
        corpus: Corpus,
        on_event: OnEvent,
        limits_: ResourceLimits,
        placement: Placement | None = None,
    ) -> None:
        self._corpus = corpus
        self._on_event = on_event
        self._monitor = ResourceMonitor(limits_, self._stop)
        self._placement = LocalMachine() if placement is None else placement
        self._waiting: deque[Run] = deque()
        self._workers: list[Worker] = []
        self._restarts: Counter[str] = Counter()
        self._oom_retries: Counter[str] = Counter()
        self._stops_requested = 0

    @property
    def danger(self) -> YoyakError | None:
        """Why the monitor stopped all runs (exit code 74 for the disk, else 75), if it did."""
        exceeded = self._monitor.exceeded
        if exceeded is None:
            return None
        about_disk = exceeded.key in DISK_KEYS or exceeded.key == "scheduler.disk-unknown"
        return (DiskFull if about_disk else Interrupted)(exceeded.key, **exceeded.fields)

    def run_all(self, runs: Sequence[Run]) -> list[RunOutcome]:
        """Complete every run; after a stop request the rest is left for the next call."""
        outcomes: dict[str, RunOutcome] = {}
        self._waiting.extend(runs)
        with on_stop_signal(self._on_stop_signal):
            try:
                while self._waiting or self._workers:
                    ended = list(self._start_runs())
                    self._monitor_workers()  # before any is collected: no run is too short for it
                    ended += self._collect_ended()
                    outcomes.update((outcome.run.name, outcome) for outcome in ended)
            finally:
                for worker in self._workers:
                    worker.end()
        return [outcomes[run.name] for run in runs]

    def stop_run(self, run: Run) -> None:
        """Let the worker of one run save and exit, from a call of ``on_event``; others go on."""
        for worker in self._workers:
            if worker.run.name == run.name:
                worker.request_stop(1)

    # --- start and end ---------------------------------------------------------------------------

    def _start_runs(self) -> Iterator[RunOutcome]:
        """Start the next runs on free devices; yield the outcome of those that need no worker."""
        self._waiting = deque(in_order(self._waiting))
        while self._waiting and (self._stops_requested or self._has_room(self._waiting[0])):
            run = self._waiting.popleft()
            if self._stops_requested:
                yield RunOutcome(run, RunResult.INTERRUPTED)
            elif is_finished(run, self._corpus):
                yield RunOutcome(run, RunResult.ALREADY_DONE)
            elif run.holder() is not None:
                self._report_lock(run)
                yield RunOutcome(run, RunResult.INTERRUPTED, Interrupted.exit_code)
            else:
                data_folder = Path(self._corpus.folder)
                self._workers.append(self._placement.start(run, data_folder, self._workers))

    def _has_room(self, run: Run) -> bool:
        return self._placement.has_room(run, self._workers)

    def _collect_ended(self) -> Iterator[RunOutcome]:
        for worker in tuple(self._workers):
            code = worker.poll()
            if code is None:
                continue
            self._workers.remove(worker)
            outcome = self._outcome_of(worker, code)
            self._forward_events(worker)
            if outcome is not None:
                yield outcome

    def _outcome_of(self, worker: Worker, code: int) -> RunOutcome | None:
        """Return how the run ended; ``None`` if it is queued again for a new worker.

        What a worker finished or failed at after a stop request counts as that.
        """
        run = worker.run
        state = run.state()
        counts = RetryCounts(self._restarts[run.name], self._oom_retries[run.name])
        action = retry_policy.decide(code, state.failed, counts)
        if action is RetryAction.FINISHED or state.status is RunStatus.FINISHED:
            return RunOutcome(run, RunResult.FINISHED, code)
        if action is RetryAction.FAILED:
            if state.status is not RunStatus.FAILED:
                _record_death(run, code)
            return RunOutcome(run, RunResult.FAILED, code)
        if action is RetryAction.INTERRUPTED or self._stops_requested:
            if code == Interrupted.exit_code:
                self._report_lock(run)
            return RunOutcome(run, RunResult.INTERRUPTED, code)
        self._retry(run, action, code)
        return None

    def _retry(self, run: Run, action: RetryAction, code: int) -> None:
        if action is RetryAction.AGAIN:
            self._restarts[run.name] += 1
            key, fields = "scheduler.taken-up-again", {"found": _signal_name(code)}
        else:
            self._oom_retries[run.name] += 1
            smaller = retry_policy.with_smaller_batches(
                run.recipe, retry_policy.oom_retry_level(run.events()) + 1
            ).train
            rows, tokens = str(smaller.micro_batch_size), str(smaller.micro_batch_tokens)
            fields = {"rows": rows, "tokens": tokens, "batch": str(smaller.batch_size)}
            key = retry_policy.SMALLER_KEY
        run.emit(Warned(at=time.time(), key=key, fields=fields))
        self._waiting.appendleft(run)

    # --- monitoring ------------------------------------------------------------------------------

    def _monitor_workers(self) -> None:
        self._forward_stop()  # a signal may have come while a worker was being started
        for worker in self._workers:
            self._forward_events(worker)
            worker.check()
        bases = [base for run in self._waiting if (base := run.recipe.model.base) is not None]
        local = {one.run: one.gpu for one in self._workers if isinstance(one, WorkerProcess)}
        self._monitor.check(local, bases)
        if self._workers:
            time.sleep(POLL_SECONDS)

    def _forward_events(self, worker: Worker) -> None:
        for event in worker.events():
            self._on_event(worker.run, event)

    def _report_lock(self, run: Run) -> None:
        """Show who holds the run; its log belongs to that process, so nothing is written."""
        holder = run.holder()
        if holder is not None:
            fields = {"run": run.name, "pid": str(holder.pid), "host": holder.host}
            self._on_event(run, Warned(at=time.time(), key="runs.locked", fields=fields))

    # --- stop requests ---------------------------------------------------------------------------

    def _on_stop_signal(self) -> None:
        self._stops_requested += 1
        self._forward_stop()

    def _stop(self) -> None:
        """Stop all runs because a limit is exceeded: they save and exit, and no other starts."""
        self._stops_requested = max(self._stops_requested, 1)
        self._forward_stop()

    def _forward_stop(self) -> None:
        for worker in self._workers:
            worker.request_stop(self._stops_requested)


def _record_death(run: Run, code: int) -> None:
    """Write the failure of a worker that crashed, or could not start, and recorded none."""
    found = _signal_name(code) if code < 0 else str(code)
    error = RunFailed("scheduler.worker-died", found=found, log=run.folder / "worker.log")
    reason = MessageRecord.of(error)
    run.emit(Failed(at=time.time(), kind=error.key, message=str(error), reason=reason))


def _signal_name(code: int) -> str:
    return signal.Signals(-code).name
