"""What is fed by the events of a line-up while it works: trackers, and the automatic backup.

Each has a daemon thread and a short queue of its own, so none can stop or slow a run: what the
queue has no room for is left out, because an event only says that a run's log has grown and the
thread reads the log itself. What fails is shown once, no record of a run knows of it, and a
command does the rest later.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import copy_context
from queue import Full, Queue, SimpleQueue
from threading import Event, Thread
from types import TracebackType
from typing import Self, TextIO

from yoyak.errors import YoyakError
from yoyak.events import AnyEvent, Finished, Warned
from yoyak.export.git_backup import backup
from yoyak.messages import recorded, text
from yoyak.report.model.load import gather
from yoyak.report.render.escape import plain
from yoyak.report.render.write import write_report
from yoyak.runs.redact import redact
from yoyak.runs.run import Run
from yoyak.runs.settings import Project
from yoyak.runs.workspace import Workspace
from yoyak.trackers import trackers

THREAD = "yoyak-beside"
"""The name of every such thread; the command line leaves one behind that does not end."""
GRACE_SECONDS = 60.0
"""How long all of them may take for what is left when the line-up is over."""
QUEUE_RUNS = 100

OnEvent = Callable[[Run, AnyEvent], None]
Consume = Callable[[Run | None], None]
"""Takes a run that has news, and ``None`` once at the end for whatever is left."""
Open = Callable[["Consumer"], AbstractContextManager[Consume]]


class Beside:
    """The trackers and the backup of one line-up; ``listening`` wraps what is told its events.

    Raises:
        UsageError: the project names a tracker that there is not.
    """

    def __init__(self, workspace: Workspace, project: Project, stream: TextIO) -> None:
        for tracker in project.mirror.trackers:
            trackers.check(tracker)
        self._stream = stream
        self._trackers = [
            Consumer("report.mirror-ended", tracker, QUEUE_RUNS, _mirroring(workspace, tracker))
            for tracker in project.mirror.trackers
        ]
        self._backups: list[Consumer] = []
        if project.backup.after_each_run:
            # A queue of one: while a backup is made, all that finish share the next one.
            work = _backing_up(workspace, project.backup.push)
            self._backups.append(Consumer("report.backup-failed", "backup", 1, work))

    def __enter__(self) -> Self:
        for one in (*self._trackers, *self._backups):
            one.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        deadline = time.monotonic() + GRACE_SECONDS
        for one in (*self._trackers, *self._backups):
            one.ask_to_end()
        for one in (*self._trackers, *self._backups):
            one.wait(deadline - time.monotonic())
            said = [recorded(warning.key, warning.fields) for warning in one.new_warnings()]
            for line in (*said, one.last_words):
                self._stream.write(f"{plain(line)}\n" if line else "")

    def listening(self, show: OnEvent) -> OnEvent:
        """Return ``show`` that also feeds them; what failed is shown as a warning."""

        def hear(run: Run, event: AnyEvent) -> None:
            show(run, event)
            for one in self._trackers:
                one.feed(run)
            for one in self._backups if isinstance(event, Finished) else ():
                one.feed(run)
            for one in (*self._trackers, *self._backups):
                for warning in one.new_warnings():
                    show(run, warning)

        return hear


class Consumer:
    """A daemon thread and its queue.

    Args:
        key: the warning of its failures.
        name: what it is called there.
        capacity: how many runs with news may wait.
        open_: opened in the thread for as long as it works.
    """

    def __init__(self, key: str, name: str, capacity: int, open_: Open) -> None:
        self._key = key
        self._name = name
        self._open = open_
        self._queue: Queue[Run | None] = Queue(capacity)
        self._ending = Event()
        self._warnings: SimpleQueue[Warned] = SimpleQueue()
        self._told: str | None = None
        self.was_fed = False
        self.last_words = ""
        """What is to be said of it at the end."""
        # The language that is spoken belongs to the context.
        self._thread = Thread(
            target=copy_context().run, args=(self._work,), name=THREAD, daemon=True
        )

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    @property
    def is_working(self) -> bool:
        """Whether the thread has not ended."""
        return self._thread.is_alive()

    def feed(self, run: Run) -> None:
        """Hand over a run that has news; never waits."""
        self.was_fed = True
        with suppress(Full):
            self._queue.put_nowait(run)

    def ask_to_end(self) -> None:
        """Let it do what is left, and end."""
        self._ending.set()
        with suppress(Full):  # then what wakes it is there already
            self._queue.put_nowait(None)

    def wait(self, seconds: float) -> None:
        """Wait for its end; what takes longer is a failure, and is left behind."""
        self._thread.join(max(seconds, 0.1))
        if self.is_working:
            self.fail(text("report.not-done-in", seconds=f"{GRACE_SECONDS:.0f}"))

    def fail(self, problem: str) -> None:
        """Note a failure; the same one twice is told once."""
        if problem != self._told:
            self._told = problem
            fields = {"tracker": self._name, "problem": redact(problem)}
            self._warnings.put(Warned(at=time.time(), key=self._key, fields=fields))

    def new_warnings(self) -> Iterator[Warned]:
        """Yield what failed since the last call."""
        while not self._warnings.empty():
            yield self._warnings.get()

    def _work(self) -> None:
        try:
            with self._open(self) as consume:
                while True:
                    run = self._queue.get()
                    if self._ending.is_set():
                        break
                    consume(run)
                consume(None)
        # Whatever a tracker's library raises may end its thread and nothing else.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            self.fail(str(error) or type(error).__name__)


def _mirroring(workspace: Workspace, tracker: str) -> Open:
    @contextmanager
    def opened(_consumer: Consumer) -> Iterator[Consume]:
        with trackers.Mirror(workspace, tracker) as told:

            def consume(run: Run | None) -> None:
                if run is None:
                    told()
                else:
                    told.tell(run)

            yield consume

    return opened


def _backing_up(workspace: Workspace, remote: str | None) -> Open:
    @contextmanager
    def opened(consumer: Consumer) -> Iterator[Consume]:
        def consume(run: Run | None) -> None:
            if run is None and not consumer.was_fed:
                return
            try:
                write_report(workspace, gather(workspace))
                done = backup(workspace, remote=remote)
            except YoyakError as error:  # the next one may succeed
                consumer.fail(str(error))
                return
            if run is None:  # once more, with the final report and the submission
                consumer.last_words = done.sentence

        yield consume

    return opened
