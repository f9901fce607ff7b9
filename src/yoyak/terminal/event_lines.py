"""The events of all runs of a workspace as lines, read as they are written."""

from collections.abc import Sequence

from yoyak.report.render.escape import plain
from yoyak.report.sections import format
from yoyak.runs.event_tail import EventTail
from yoyak.runs.workspace import Workspace
from yoyak.terminal.progress import ProgressRow, news

LINES = 200
"""As many of the newest lines are kept."""


class EventLines:
    """The newest events of all runs that are worth a line."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._tails: dict[str, tuple[EventTail, ProgressRow]] = {}
        self._newest: list[tuple[float, str]] = []

    def read(self) -> Sequence[str]:
        """Return a line for each event, the newest last; reads only what the logs have gained."""
        for run in self._workspace.runs():
            if run.name not in self._tails:
                row = ProgressRow(run.identity.recipe)
                self._tails[run.name] = (EventTail(run.log_path, 0), row)
            tail, row = self._tails[run.name]
            for event in tail.read():
                row.feed(event)
                line = news(row, event)
                if line is not None:
                    self._newest.append((event.at, line))
        self._newest = sorted(self._newest)[-LINES:]
        return [f"{format.clock(at)}  {plain(line)}" for at, line in self._newest]
