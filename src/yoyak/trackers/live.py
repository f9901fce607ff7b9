"""Feed trackers and the automatic backup while runs are at work.

Each consumer has a daemon thread and a short queue, so none can stop or slow a run. What does not
fit into the queue is dropped without loss: an item only says that a run's log has grown, and the
thread reads the log itself. A failure is shown once and never written to a run's log; ``yoyak
report --mirror`` and ``yoyak backup`` do the rest later.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import copy_context
from queue import Full, Queue, SimpleQueue
from threading import Event, Thread
from types import TracebackType
from typing import Self, TextIO

from yoyak.config.project import Project
from yoyak.errors import YoyakError
from yoyak.events import AnyEvent, Finished, Warned
from yoyak.export.git_backup import backup
from yoyak.messages import recorded, text
from yoyak.report.model.load import gather_with_rows
from yoyak.report.render.escape import plain
from yoyak.report.render.write import write_report
from yoyak.runs.redact import redact
from yoyak.runs.run import Run
from yoyak.runs.workspace import Workspace
from yoyak.trackers.mirror import Mirror, check_tracker

THREAD_NAME = "yoyak-background"
"""Name of every consumer's thread; ``yoyak.cli.main`` does not wait for one that hangs."""
GRACE_SECONDS = 60.0
"""How long all consumers together may take to finish when the runs are over."""
QUEUE_RUNS = 100

OnEvent = Callable[[Run, AnyEvent], None]
Consume = Callable[[Run | None], None]
"""Takes a run whose log has grown, and ``None`` once at the end for whatever is left."""
OpenConsumer = Callable[["BackgroundConsumer"], AbstractContextManager[Consume]]


class LiveTrackers:
    """The trackers and the backup that ``yoyak.toml`` switches on; a context manager.

    Raises:
        UsageError: the project names an unknown tracker.
    """

    def __init__(self, workspace: Workspace, project: Project, stream: TextIO) -> None:
        for tracker in project.mirror.trackers:
            check_tracker(tracker)
        self._stream = stream
        self._trackers = [
            BackgroundConsumer(
                "report.mirror-ended", tracker, QUEUE_RUNS, _mirroring(workspace, tracker)
            )
            for tracker in project.mirror.trackers
        ]
        self._backups: list[BackgroundConsumer] = []
        if project.backup.after_each_run:
            # A queue of one: all runs that finish during a backup share the next one.
            opening = _backing_up(workspace, project.backup.push)
            self._backups.append(BackgroundConsumer("report.backup-failed", "backup", 1, opening))

    @property
    def consumers(self) -> tuple["BackgroundConsumer", ...]:
        """All of them, trackers first."""
        return (*self._trackers, *self._backups)

    def __enter__(self) -> Self:
        for consumer in self.consumers:
            consumer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        deadline = time.monotonic() + GRACE_SECONDS
        for consumer in self.consumers:
            consumer.request_end()
        for consumer in self.consumers:
            consumer.join(deadline - time.monotonic())
            warnings = [recorded(each.key, each.fields) for each in consumer.new_warnings()]
            for line in (*warnings, consumer.summary):
                self._stream.write(f"{plain(line)}\n" if line else "")

    def wrap(self, show: OnEvent) -> OnEvent:
        """Return ``show`` extended to feed the consumers; their failures are shown as warnings."""

        def on_event(run: Run, event: AnyEvent) -> None:
            show(run, event)
            for consumer in self._trackers:
                consumer.feed(run)
            for consumer in self._backups if isinstance(event, Finished) else ():
                consumer.feed(run)
            for consumer in self.consumers:
                for warning in consumer.new_warnings():
                    show(run, warning)

        return on_event


class BackgroundConsumer:
    """A daemon thread and its queue of runs whose logs have grown.

    Args:
        key: message key of its failures.
        name: how the failures name it.
        capacity: how many runs may wait in the queue.
        opening: context manager that the thread enters for as long as it works.
    """

    def __init__(self, key: str, name: str, capacity: int, opening: OpenConsumer) -> None:
        self._key = key
        self._name = name
        self._opening = opening
        self._queue: Queue[Run | None] = Queue(capacity)
        self._ending = Event()
        self._warnings: SimpleQueue[Warned] = SimpleQueue()
        self._last_problem: str | None = None
        self.was_fed = False
        self.summary = ""
        """Line to print at the end; empty for none."""
        # The chosen language is a context variable.
        self._thread = Thread(
            target=copy_context().run, args=(self._work,), name=THREAD_NAME, daemon=True
        )

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def feed(self, run: Run) -> None:
        """Queue a run whose log has grown; never blocks."""
        self.was_fed = True
        with suppress(Full):
            self._queue.put_nowait(run)

    def request_end(self) -> None:
        """Let the thread do what is left, and end."""
        self._ending.set()
        with suppress(Full):  # what is in the queue wakes the thread as well
            self._queue.put_nowait(None)

    def join(self, seconds: float) -> None:
        """Wait for the thread's end; if it takes longer, that is a failure and it is abandoned."""
        self._thread.join(max(seconds, 0.1))
        if self._thread.is_alive():
            self.fail(text("report.not-done-in", seconds=f"{GRACE_SECONDS:.0f}"))

    def fail(self, problem: str) -> None:
        """Queue a warning; the same problem twice in a row gives one."""
        if problem != self._last_problem:
            self._last_problem = problem
            fields = {"tracker": self._name, "problem": redact(problem)}
            self._warnings.put(Warned(at=time.time(), key=self._key, fields=fields))

    def new_warnings(self) -> Iterator[Warned]:
        """Yield the warnings since the last call."""
        while not self._warnings.empty():
            yield self._warnings.get()

    def _work(self) -> None:
        try:
            with self._opening(self) as consume:
                while True:
                    run = self._queue.get()
                    if self._ending.is_set():
                        break
                    consume(run)
                consume(None)
        # Whatever a tracker's library raises may end this thread and nothing else.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            self.fail(str(error) or type(error).__name__)


def _mirroring(workspace: Workspace, tracker: str) -> OpenConsumer:
    @contextmanager
    def opening(_consumer: BackgroundConsumer) -> Iterator[Consume]:
        with Mirror(workspace, tracker) as mirror:

            def consume(run: Run | None) -> None:
                if run is None:
                    mirror.update_all()
                else:
                    mirror.update(run)

            yield consume

    return opening


def _backing_up(workspace: Workspace, remote: str | None) -> OpenConsumer:
    @contextmanager
    def opening(consumer: BackgroundConsumer) -> Iterator[Consume]:
        def consume(run: Run | None) -> None:
            if run is None and not consumer.was_fed:
                return
            try:
                write_report(workspace, *gather_with_rows(workspace))
                done = backup(workspace, remote=remote)
            except YoyakError as error:  # the next one may succeed
                consumer.fail(str(error))
                return
            if run is None:  # the last one includes the final report and the submission
                consumer.summary = done.sentence

        yield consume

    return opening
