"""The Textual app of ``yoyak watch``: runs, curves, machine, log and rows, with keys to steer.

Reads the records once a second, outside the event loop, and the end of a worker's log where it is
shown. A key that steers calls a function of ``RunControls``, as a verb of the command line does.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal, NamedTuple

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.events import Key, Resize
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import DataTable, Static

from yoyak.errors import YoyakError
from yoyak.events import RunStatus
from yoyak.messages import text
from yoyak.report.model.load import gather
from yoyak.report.model.report import Curve, Report, System
from yoyak.report.render.escape import plain
from yoyak.report.sections import format
from yoyak.report.sections.blocks import Badge, Bar, Cell, Table, TableColumn, shown, sign
from yoyak.report.sections.model_table import lineup_end, model_table
from yoyak.runs.run import Run
from yoyak.runs.workspace import Workspace
from yoyak.terminal.event_lines import EventLines
from yoyak.terminal.line_plot import line_plot
from yoyak.terminal.machine import MachineReading, machine_lines, read_machine
from yoyak.terminal.render import STYLES, shortened
from yoyak.terminal.row_browser import RowBrowser

REFRESH_SECONDS = 1.0
_LOG_BYTES = 64 * 1024
"""As much of the end of a worker's log is read."""
_COLUMNS = {
    0: ("system", "status", "progress", "loss", "mean", "left"),
    110: ("system", "status", "stage", "progress", "loss", "mean", "throughput", "left"),
    160: (
        "system", "status", "stage", "progress", "loss", "rate", "mean", "throughput", "pace",
        "rows-seen", "vram", "left",
    ),
}  # fmt: skip
"""Columns of the runs by the least width of the terminal that they are shown at."""
_SYSTEM_COLUMNS = {0: 18, 110: 30, 160: 48}
"""Columns of a terminal that a run's name may take; the end of longer names is cut."""


class RunControls(NamedTuple):
    """What the keys do; each function returns a sentence to show, or raises a ``YoyakError``."""

    stop: Callable[[Run], str]
    resume: Callable[[Run], str]
    first: Callable[[Run], str]


class _Look(NamedTuple):
    """What one look at the records and the machine found."""

    view: Report
    events: Sequence[str]
    machine: MachineReading


class WatchApp(App[YoyakError | None]):
    """The whole screen; the app's result is the error that ended it, if one did.

    Args:
        workspace: whose runs are shown.
        controls: what the keys that steer do; without them these keys are not offered.
    """

    CSS = """
    Screen { layout: vertical; }
    #head, #end, #machine, #message, #keys { height: auto; }
    #runs { height: auto; max-height: 35%; min-height: 3; }
    #plots { height: 9; }
    #plots CurvePlot { width: 1fr; height: 100%; }
    #log { height: 1fr; border-top: solid; }
    DataTable { scrollbar-size-horizontal: 1; }
    DataTable > .datatable--cursor {
        background: ansi_default; color: ansi_default; text-style: reverse;
    }
    """
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "leave", show=False),
        Binding("enter", "rows", show=False, priority=True),
        Binding("l", "log", show=False),
        Binding("s", "steer('stop')", show=False),
        Binding("r", "steer('resume')", show=False),
        Binding("p", "steer('first')", show=False),
    ]

    def __init__(self, workspace: Workspace, controls: RunControls | None = None) -> None:
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"  # the terminal's own colours, be it light or dark
        self._workspace = workspace
        self._controls = controls
        self._lines = EventLines(workspace)
        self._look: _Look | None = None
        self._shows_worker_log = False
        self._columns: tuple[str, ...] = ()

    def compose(self) -> ComposeResult:
        """Lay out the screen, top to bottom."""
        yield Static(id="head", markup=False)
        yield RunTable(id="runs", cursor_type="row", zebra_stripes=False)
        yield Static(id="end", markup=False)
        with Horizontal(id="plots"):
            yield CurvePlot("loss", 3, id="loss")
            yield CurvePlot("rouge", 2, id="rouge")
        yield Static(id="machine", markup=False)
        yield LogTail(id="log")
        yield Static(id="message", markup=False)
        keys = ["keys"] if self._controls is None else ["keys", "keys-steer"]
        yield Static(" · ".join(text(f"watch.{key}") for key in keys), id="keys", markup=False)

    def on_mount(self) -> None:
        """Look at once, then every second."""
        self.query_one("#message").display = False
        self._start_look()
        self.set_interval(REFRESH_SECONDS, self._start_look)

    def on_resize(self, _: Resize) -> None:
        """Choose the columns for the new width."""
        if self._look is not None:
            self.call_after_refresh(self._draw)

    # --- looking ------------------------------------------------------------------------------

    def _start_look(self) -> None:
        """Look unless the last look is still at work: a slow disk must not queue them."""
        if not any(worker.group == "look" and not worker.is_finished for worker in self.workers):
            self.run_worker(self._refresh_look(), group="look")

    async def _refresh_look(self) -> None:
        try:
            self._look = await asyncio.to_thread(self._read)
        except YoyakError as error:
            self.exit(error)
            return
        self._draw()

    def _read(self) -> _Look:
        view = gather(self._workspace, compared=False)
        return _Look(view, self._lines.read(), read_machine(self._workspace.folder))

    @property
    def selected(self) -> str | None:
        """The id of the run under the cursor."""
        return self.screen_stack[0].query_one(RunTable).selected

    @property
    def selected_system(self) -> System | None:
        """The run under the cursor, as the report has it."""
        found = () if self._look is None else self._look.view.systems
        return next((one for one in found if one.run == self.selected), None)

    # --- drawing ------------------------------------------------------------------------------

    def _draw(self) -> None:
        if self._look is None or not self.is_running:
            return
        view, base = self._look.view, self.screen_stack[0]
        tiles = view.tiles
        done = text("watch.done", done=tiles.done, total=tiles.total)
        head = f"{plain(view.title)}   {format.moment(view.written_at)}   {done}"
        _show(base, "#head", Text(head, style="bold", no_wrap=True, overflow="ellipsis"))
        base.query_one(RunTable).show(view, self.size.width)
        ends = " ".join(note.text for note in lineup_end(view))
        _show(base, "#end", Text(ends if view.systems else text("watch.no-runs")))
        for plot in base.query(CurvePlot):
            plot.show(self._curve())
        _show(base, "#machine", machine_lines(self._look.machine))
        self._draw_log()

    def _draw_log(self) -> None:
        if self._look is None:
            return
        log, name = self.screen_stack[0].query_one(LogTail), self._selected_name
        if self._shows_worker_log:
            lines = self._worker_log() or [text("watch.no-worker-log", name=name)]
            log.show(text("watch.worker-log", name=name), lines)
        else:
            log.show(text("watch.events"), self._look.events or [text("report.watch-quiet")])

    def _worker_log(self) -> list[str]:
        run = self.selected
        return [] if run is None else _end_of(Run(self._workspace.runs_folder / run))

    @property
    def _selected_name(self) -> str:
        system = self.selected_system
        return format.UNKNOWN if system is None else system.name

    def _curve(self) -> Curve | None:
        found = () if self._look is None else self._look.view.curves
        return next((one for one in found if one.run == self.selected), None)

    # --- keys ---------------------------------------------------------------------------------

    def on_data_table_row_highlighted(self, _: DataTable.RowHighlighted) -> None:
        """Draw the curves and the log of the run that the cursor has come to."""
        if len(self.screen_stack) == 1:
            self._draw()

    def action_leave(self) -> None:
        """Close the view; the runs go on."""
        self.exit()

    def action_log(self) -> None:
        """Switch between the events of all runs and the worker log of this one."""
        self._shows_worker_log = not self._shows_worker_log
        self._draw_log()

    def action_rows(self) -> None:
        """Open the rows of this run; the other scored runs are a digit away."""
        if self._look is not None and self.selected is not None and len(self.screen_stack) == 1:
            scored = [one for one in self._look.view.systems if one.quality is not None]
            self.push_screen(
                RowBrowser(self._workspace, scored, self.selected, self._selected_name)
            )

    def action_steer(self, what: str) -> None:
        """Ask, then stop, resume or put first the run under the cursor."""
        system = self.selected_system
        if self._controls is None or system is None or len(self.screen_stack) > 1:
            return
        steer: Callable[[Run], str] = getattr(self._controls, what)
        run = Run(self._workspace.runs_folder / system.run)

        def answered(is_yes: bool | None) -> None:
            if is_yes:
                self.run_worker(self._steer(steer, run))

        self.push_screen(Confirm(text(f"watch.confirm-{what}", name=system.name)), answered)

    async def _steer(self, steer: Callable[[Run], str], run: Run) -> None:
        try:
            sentence = await asyncio.to_thread(steer, run)
        except YoyakError as error:
            sentence = str(error)
        base = self.screen_stack[0]
        base.query_one("#message").display = True
        _show(base, "#message", Text(plain(sentence), style="bold"))


def _show(parent: Widget, selector: str, content: RenderableType) -> None:
    parent.query_one(selector, Static).update(content)


def _end_of(run: Run) -> list[str]:
    """Return the last lines of a worker's log."""
    path = run.folder / "worker.log"
    if not path.is_file():
        return []
    with path.open("rb") as log:
        log.seek(max(path.stat().st_size - _LOG_BYTES, 0))
        written = log.read().decode("utf-8", "replace")
    return [plain(line) for line in written.splitlines()]


class RunTable(DataTable[Text]):
    """A row for each run, the cursor on one of them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", show=False),
        Binding("k", "cursor_up", show=False),
    ]
    _drawn: Table | None = None
    _ids: tuple[str, ...] = ()
    _widths: Sequence[int] = ()

    @property
    def selected(self) -> str | None:
        """The id of the run under the cursor."""
        return self._ids[self.cursor_row] if self._ids and self.cursor_row >= 0 else None

    def show(self, view: Report, width: int) -> None:
        """Draw the runs in the columns that fit; cells that say the same are left alone."""
        limit = max(least for least in _COLUMNS if least <= width)
        drawn = next(iter(model_table(view, _COLUMNS[limit])), None)
        ids = tuple(one.run for one in view.systems)
        if drawn is None or (drawn == self._drawn and ids == self._ids):
            return
        cells = [
            [
                _cell(cell, column.is_number, _SYSTEM_COLUMNS[limit])
                for cell, column in zip(row, drawn.columns, strict=True)
            ]
            for row in drawn.rows
        ]
        is_new = self._drawn is None or self._drawn.columns != drawn.columns or ids != self._ids
        widths = _widths(drawn, cells)
        if not is_new:  # a column that grew stays so: nothing moves back and forth
            widths = list(map(max, widths, self._widths))
        if is_new or widths != self._widths:
            self._widths = widths
            self._rebuild(view, drawn, cells)
        else:
            for run, row in zip(ids, cells, strict=True):
                for place, cell in enumerate(row):
                    if self.get_cell(run, str(place)) != cell:
                        self.update_cell(run, str(place), cell)
        self._drawn = drawn

    def _rebuild(self, view: Report, drawn: Table, cells: list[list[Text]]) -> None:
        """Draw anew, the cursor on the same run; at first, on one at work or the newest."""
        selected, ids = self.selected, tuple(one.run for one in view.systems)
        self.clear(columns=True)
        for place, column in enumerate(drawn.columns):
            head = Text(_head(column), justify=_justified(column.is_number))
            self.add_column(head, key=str(place), width=self._widths[place])
        for run, row in zip(ids, cells, strict=True):
            self.add_row(*row, key=run)
        self._ids = ids
        if selected not in ids:
            at_work = [one.run for one in view.systems if one.status is RunStatus.RUNNING]
            selected = next(iter(at_work), ids[-1])
        self.move_cursor(row=ids.index(selected))


def _head(column: TableColumn) -> str:
    return column.title.split("\n")[0]


def _widths(drawn: Table, cells: list[list[Text]]) -> list[int]:
    """Return the columns of the terminal that each column takes."""
    return [
        max(cell_len(_head(column)), *(row[place].cell_len for row in cells))
        for place, column in enumerate(drawn.columns)
    ]


def _justified(is_number: bool) -> Literal["left", "right"]:
    return "right" if is_number else "left"


def _cell(cell: Cell, is_number: bool, most: int) -> Text:
    """Return a cell as text; a name that is too long is cut, and a bar is drawn in blocks."""
    words = " ".join(filter(None, (sign(cell), plain(shown(cell)))))
    if isinstance(cell, Bar) and cell.share is not None:
        words = f"{_blocks(cell.share)} {words}"
    style = STYLES.get(cell.kind, "") if isinstance(cell, Badge) else ""
    return Text(shortened(words, most), style=style, justify=_justified(is_number))


def _blocks(share: float, width: int = 6) -> str:
    """Return a bar of eighths of a block, ``width`` columns wide."""
    eighths = round(min(max(share, 0.0), 1.0) * 8 * width)
    part = "▏▎▍▌▋▊▉"[eighths % 8 - 1] if eighths % 8 else ""
    return f"{'█' * (eighths // 8) + part:·<{width}}"


class CurvePlot(Static):
    """A curve of the selected run under its title.

    Args:
        kind: ``loss`` over steps or ``rouge`` over epochs.
        digits: after the decimal point of its labels.
        id: of the widget.
    """

    def __init__(self, kind: str, digits: int, *, id: str) -> None:
        super().__init__(id=id, markup=False)
        self._kind, self._digits = kind, digits

    _curve: Curve | None = None

    def show(self, curve: Curve | None) -> None:
        """Draw the curve as large as the widget is, now and after each change of its size."""
        self._curve = curve
        self.on_resize()

    def on_resize(self) -> None:
        """Draw the curve again."""
        curve = self._curve
        if curve is None or not self.size:
            self.update("")
            return
        points: tuple[Sequence[float], Sequence[float]] = (curve.steps, curve.losses)
        if self._kind == "rouge":
            points = curve.evaluated_epochs, [100 * mean for mean in curve.evaluated_means]
        lines = line_plot(*points, self.size.width - 1, self.size.height - 1, digits=self._digits)
        title = text(f"watch.{self._kind if lines else f'no-{self._kind}'}", name=curve.name)
        head = Text(plain(title), style="bold" if lines else "dim", no_wrap=True)
        head.overflow = "ellipsis"
        self.update(Group(head, *(Text(line, no_wrap=True) for line in lines)))


class LogTail(Static):
    """The newest lines that fit."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, markup=False)

    _lines: Sequence[str] = ()

    def show(self, title: str, lines: Sequence[str]) -> None:
        """Draw the last lines, each cut at the right edge."""
        self.border_title, self._lines = title, lines
        self.on_resize()

    def on_resize(self) -> None:
        """Draw as many lines as fit now."""
        newest = self._lines[-self.size.height :] if self.size.height else []
        self.update(Group(*(Text(line, no_wrap=True, overflow="ellipsis") for line in newest)))


class Confirm(ModalScreen[bool]):
    """One question; its result is whether it was answered with y."""

    CSS = """
    Confirm { align: center middle; }
    #question { width: auto; max-width: 90%; height: auto; border: solid; padding: 0 1; }
    """

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """Show the question."""
        yield Static(self._question, id="question", markup=False)

    def on_key(self, event: Key) -> None:
        """Take y for yes, and any other key for no."""
        event.stop()
        self.dismiss(event.key in {"y", "Y"})
