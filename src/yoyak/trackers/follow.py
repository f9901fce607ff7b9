"""A tracker that follows the runs from another shell (``yoyak watch --mirror``)."""

import signal
from collections import Counter
from threading import Event

from yoyak.runs.workspace import Workspace
from yoyak.trackers.trackers import Mirror

INTERVAL_SECONDS = 1.0


def follow(workspace: Workspace, tracker: str) -> Counter[str]:
    """Tell ``tracker`` what happens until SIGTERM or Ctrl-C, then what is left.

    Returns how many points it was told of each run.

    Raises:
        UsageError: there is no such tracker.
        Unavailable: its library is not installed, or it refused.
    """
    asked = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    total: Counter[str] = Counter()
    with Mirror(workspace, tracker) as told:
        total.update(told())
        while not asked.wait(INTERVAL_SECONDS):
            total.update(told())
        total.update(told())
    return total
