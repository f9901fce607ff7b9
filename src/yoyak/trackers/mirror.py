"""Copy the metrics of runs to a tracker: afterwards, or while the runs are at work.

A mirror reads ``events.jsonl`` from its beginning and writes below ``report/mirrors/<tracker>/``,
so no run waits for a tracker. ``<run>.told`` holds how many bytes of the log were sent completely;
a mirror that was killed leaves no such file, and the next one replaces what the tracker has, so
every point is there once.
"""

import shutil
import signal
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Self

from yoyak.errors import Unavailable, UsageError
from yoyak.events import Failed, Finished, Stopped
from yoyak.files import atomic
from yoyak.runs.event_tail import EventTail
from yoyak.runs.run import Run
from yoyak.runs.workspace import Workspace
from yoyak.trackers.backends import BACKENDS, OpenRun, TrackerRun
from yoyak.trackers.metrics import TrackerMetrics

FOLLOW_SECONDS = 1.0


def mirror(workspace: Workspace, tracker: str) -> dict[str, int]:
    """Send every run's new points to ``tracker``; return how many points each run gained.

    Raises:
        UsageError: there is no such tracker.
        Unavailable: its library is not installed, or it refused.
    """
    with Mirror(workspace, tracker) as mirrored:
        return mirrored.update_all()


def follow(workspace: Workspace, tracker: str) -> Counter[str]:
    """Send new points every second until SIGTERM or Ctrl-C, then what is left.

    Returns how many points each run gained. Raises as ``mirror`` does.
    """
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    total: Counter[str] = Counter()
    with Mirror(workspace, tracker) as mirrored:
        total.update(mirrored.update_all())
        while not stop.wait(FOLLOW_SECONDS):
            total.update(mirrored.update_all())
        total.update(mirrored.update_all())
    return total


def check_tracker(tracker: str) -> None:
    """Raise ``UsageError`` unless ``tracker`` is one of ``BACKENDS``."""
    if tracker not in BACKENDS:
        raise UsageError("report.no-mirror", tracker=tracker, known=", ".join(BACKENDS))


class Mirror:
    """One tracker and the runs that are being copied to it; a context manager."""

    def __init__(self, workspace: Workspace, tracker: str) -> None:
        check_tracker(tracker)
        self._workspace = workspace
        self._tracker = tracker
        self._folder = workspace.report_folder / "mirrors" / tracker
        self._mirrored: dict[str, _MirroredRun] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            self._open_run = self._stack.enter_context(BACKENDS[self._tracker](self._folder))
        except ModuleNotFoundError as error:
            raise Unavailable("report.mirror-missing", tracker=self._tracker) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._stack:
            for mirrored in self._mirrored.values():
                self._stack.callback(mirrored.close, complete=error is None)

    def update_all(self) -> dict[str, int]:
        """Send the new points of every run in the workspace; return how many each gained."""
        return {run.name: self.update(run) for run in self._workspace.runs()}

    def update(self, run: Run) -> int:
        """Send the new points of one run; return how many there were."""
        note = self._folder / f"{run.name}.told"
        mirrored = self._mirrored.get(run.name)
        if mirrored is None:
            if not run.log_path.is_file() or _bytes_sent(note) == run.log_path.stat().st_size:
                return 0
            mirrored = self._mirrored[run.name] = _MirroredRun(run, note, self._open_run)
        gained = mirrored.update()
        if mirrored.has_ended:
            self._mirrored.pop(run.name).close(complete=True)
        return gained


class _MirroredRun:
    """One run in one tracker, from the first line of its log."""

    def __init__(self, run: Run, note: Path, open_run: OpenRun) -> None:
        self._note = note
        self._tail = EventTail(run.log_path, position=0)
        self._metrics = TrackerMetrics()
        self._stack = ExitStack()
        self.has_ended = False
        note.unlink(missing_ok=True)
        folder = note.with_suffix("")
        shutil.rmtree(folder, ignore_errors=True)
        self._log_points = self._stack.enter_context(open_run(TrackerRun(run, run.recipe, folder)))

    def update(self) -> int:
        events = list(self._tail.read())
        points = list(self._metrics.points(events))
        if points:
            self._log_points(points)
        if events:
            self.has_ended = isinstance(events[-1], Finished | Failed | Stopped)
        return len(points)

    def close(self, *, complete: bool) -> None:
        self._stack.close()
        if complete:
            atomic.write_text(self._note, str(self._tail.position))


def _bytes_sent(note: Path) -> int | None:
    return int(note.read_text(encoding="utf-8")) if note.is_file() else None
