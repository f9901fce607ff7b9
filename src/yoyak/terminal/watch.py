"""Show a running line-up in a terminal; ``q`` leaves the view and does not stop the run.

Reads only the records, once a second: it can be started, left and started again at any
time, from any shell. With the extra [watch] it is an app (``watch_app``), without it one picture.
"""

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import pairwise
from typing import TYPE_CHECKING, TextIO

from yoyak.events import RunStatus
from yoyak.messages import text
from yoyak.report.model.load import gather
from yoyak.report.model.report import Curve, Report
from yoyak.report.render.escape import plain
from yoyak.report.sections import format, page
from yoyak.report.sections.blocks import Bar, Table, TableColumn
from yoyak.report.sections.model_table import lineup_end, model_table
from yoyak.runs.workspace import Workspace
from yoyak.terminal.event_lines import EventLines
from yoyak.terminal.progress import BAR_WIDTH, LIVE_COLUMNS
from yoyak.terminal.render import TableView, console, render, show

if TYPE_CHECKING:
    from rich.console import Console, Group, RenderableType

    from yoyak.terminal.watch_app import RunControls

INTERVAL_SECONDS = 1.0
_BARS = "▁▂▃▄▅▆▇█"
_SPARK_WIDTH = 48
_LAST_EVENTS = 5
_QUIT = frozenset("qQ\x03\x04")


def watch(
    workspace: Workspace, stream: TextIO, controls: "Callable[[], RunControls] | None" = None
) -> None:
    """Show the workspace until ``q``; print the status once if ``stream`` is not a terminal.

    ``controls`` makes what the keys that steer do; it is called only where there are such keys.

    Raises:
        YoyakError: the records cannot be read.
    """
    out = console(stream)
    if not stream.isatty() or out.is_dumb_terminal:
        show(page.status(gather(workspace, compared=False)), stream)
    elif sys.stdin.isatty() and find_spec("textual") is not None:
        from yoyak.terminal.watch_app import WatchApp

        problem = WatchApp(workspace, None if controls is None else controls()).run()
        if problem is not None:
            raise problem
    else:
        _watch_picture(workspace, out)


def _watch_picture(workspace: Workspace, out: "Console") -> None:
    from rich.live import Live

    with _keyboard() as pressed:
        lines = EventLines(workspace)
        shown = frame(gather(workspace, compared=False), lines.read())
        with Live(shown, console=out, screen=True, auto_refresh=False) as live:
            live.refresh()
            while pressed(INTERVAL_SECONDS) not in _QUIT:
                live.update(frame(gather(workspace, compared=False), lines.read()), refresh=True)


@contextmanager
def _keyboard() -> Iterator[Callable[[float], str]]:
    """Yield a function that waits some seconds for a key and returns it, or ``""``.

    The terminal is restored however the block ends.
    """
    if not sys.stdin.isatty():
        yield _sleep
        return
    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)
    try:
        tty.setcbreak(handle)
        yield lambda seconds: _pressed(handle, seconds)
    finally:
        termios.tcsetattr(handle, termios.TCSADRAIN, before)


def _sleep(seconds: float) -> str:
    time.sleep(seconds)
    return ""


def _pressed(handle: int, seconds: float) -> str:
    ready, _, _ = select.select([handle], [], [], seconds)
    return os.read(handle, 1).decode("latin-1") if ready else ""


def frame(view: Report, events: Sequence[str] = ()) -> "Group":
    """Return one frame of the view; ``events`` are its last lines."""
    from rich.console import Group
    from rich.rule import Rule
    from rich.text import Text

    parts: list[RenderableType] = [
        Text(f"{plain(view.title)}   {format.moment(view.written_at)}", style="bold"),
        *(TableView(rows, bar_width=BAR_WIDTH) for rows in model_table(view, LIVE_COLUMNS)),
        render(lineup_end(view)),
        *_sparks(view),
        _gauges(view),
        Rule(style="dim"),
        *(
            Text(line, overflow="ellipsis", no_wrap=True)
            for line in list(events)[-_LAST_EVENTS:] or [text("report.watch-quiet")]
        ),
        Text(f"{text('report.watch-keys')} · {text('watch.hint-extra')}", style="dim"),
    ]
    return Group(*parts)


def _sparks(view: Report) -> "Iterator[RenderableType]":
    """Yield the loss curves of the running runs, or of the last trained run if none is running."""
    from rich.text import Text

    running = {one.run for one in view.progress if one.status is RunStatus.RUNNING}
    curves = [curve for curve in view.curves if curve.losses]
    for curve in [one for one in curves if one.run in running] or curves[-1:]:
        yield Text(f"{plain(curve.name)}  {spark(curve)}  {curve.losses[-1]:.3f}", no_wrap=True)


def spark(curve: Curve, width: int = _SPARK_WIDTH) -> str:
    """Return a run's loss in one line, each column the mean of an interval of steps."""
    losses = curve.losses
    columns = min(width, len(losses))
    cuts = [column * len(losses) // columns for column in range(columns + 1)]
    means = [sum(losses[start:end]) / (end - start) for start, end in pairwise(cuts)]
    low, spread = min(means), max(means) - min(means)
    return "".join(
        _BARS[round((mean - low) / spread * (len(_BARS) - 1)) if spread else 0] for mean in means
    )


def _gauges(view: Report) -> TableView:
    """Return a bar for each resource that was measured: GB used of GB in total."""
    tiles = view.tiles
    free, total = tiles.vram_free_gb, tiles.vram_total_gb
    known = {
        "disk": (tiles.disk_used_gb, tiles.disk_total_gb),
        "vram": (None if free is None or total is None else total - free, total),
    }
    rows = tuple(
        (text(f"report.axis-{key}"), Bar(f"{used:.1f}/{total:.1f} GB", used / total))
        for key, (used, total) in known.items()
        if used is not None and total
    )
    return TableView(Table((TableColumn(""),) * 2, rows), bar_width=BAR_WIDTH)
