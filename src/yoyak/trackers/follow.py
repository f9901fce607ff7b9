"""A tracker that follows the runs, in a process of its own.

``python -m yoyak.report.follow WORKSPACE TRACKER PARENT`` goes on until it is asked to stop or its
parent is gone; then it tells what is left and ends.
"""

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Event

from yoyak.errors import YoyakError
from yoyak.runs.workspace import Workspace
from yoyak.trackers.trackers import Mirror

INTERVAL_SECONDS = 1.0


def follow(
    workspace: Workspace, tracker: str, wanted: Callable[[], bool] = lambda: True
) -> Counter[str]:
    """Tells ``tracker`` what happens until SIGTERM or Ctrl-C, or until nobody ``wanted`` it.

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
        while not asked.wait(INTERVAL_SECONDS) and wanted():
            total.update(told())
        total.update(told())
    return total


def main(folder: str, tracker: str, parent: str) -> int:
    """Follows for as long as ``parent`` lives; returns the exit code."""
    try:
        follow(Workspace(Path(folder)), tracker, lambda: os.getppid() == int(parent))
    except YoyakError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
