"""Show the progress of a line-up: rows with bars on a terminal, plain lines on other streams.

Receives events as they happen (``progress(run_id, event)``) and keeps one fold per run. Reads no
files; a failure to draw is never a failure to train.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, Self, TextIO

from yoyak.events import (
    AnyEvent,
    BackendParityChecked,
    Evaluated,
    Event,
    Failed,
    Finished,
    PredictionProgress,
    PreflightCheck,
    Prepared,
    RunState,
    RunStatus,
    Scored,
    StageDone,
    StageStarted,
    Started,
    Stopped,
    TrainStep,
    Warned,
    fold,
)
from yoyak.messages import recorded, text
from yoyak.report.model.forecast import TO_COME, Pace, generation_left, run_left
from yoyak.report.model.history import expected
from yoyak.report.model.report import Forecast
from yoyak.report.render.escape import plain
from yoyak.report.sections import format
from yoyak.report.sections.blocks import Bar, Cell, table
from yoyak.report.sections.format import all_ends, stage
from yoyak.report.sections.model_table import status_cell
from yoyak.runs.run import Run
from yoyak.terminal.render import TableView, console

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.live import Live

LIVE_COLUMNS = ("system", "status", "stage", "progress", "loss", "mean", "left")
BAR_WIDTH = 16
_NOTHING_KNOWN: Mapping[str, RunState] = {}


class ProgressRow:
    """The displayed state of one run, from its recipe's name and its previous state."""

    def __init__(self, name: str, state: RunState | None = None) -> None:
        self.name = name
        self._generated: list[PredictionProgress] = []
        self.state = state or RunState()
        self._expected = expected(self.state)
        self.pace = Pace()
        self.printed_at = float("-inf")

    def feed(self, event: AnyEvent) -> None:
        """Add one event of the run."""
        self.state = fold((event,), self.state)
        self.pace.feed(event)
        if isinstance(event, StageStarted):
            self._generated.clear()
        elif isinstance(event, PredictionProgress):
            self._generated.append(event)

    @property
    def done(self) -> int:
        """Completed steps, or rows while a split is being predicted."""
        generated = self.state.prediction
        return generated.done if generated else self.state.step

    @property
    def of(self) -> int | None:
        """Total of what ``done`` counts; ``None`` before it is known."""
        if self.state.prediction:
            return self.state.prediction.of
        return self.state.prepared.steps if self.state.prepared else None

    @property
    def forecast(self) -> Forecast | None:
        """Time left in the stage at its measured pace, else the plan's estimate."""
        if self.state.prediction:
            return generation_left(self._generated)
        return self.pace.forecast or self._expected

    @property
    def total(self) -> Forecast | None:
        """Time left to the end of the run, generation included."""
        return run_left(self.state, self.forecast, self.pace)

    @property
    def left(self) -> str:
        """Time left, formatted: of the run, else more than that of the stage."""
        if self.state.status is not RunStatus.RUNNING:
            return format.UNKNOWN
        if self.total is not None:
            return format.durations(self.total)
        return format.UNKNOWN if self.forecast is None else format.longer_than(self.forecast)

    @property
    def loss(self) -> str:
        """Most recent training loss, formatted."""
        last = self.state.last_step
        return format.UNKNOWN if last is None else f"{last.loss:.3f}"

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells of ``LIVE_COLUMNS``."""
        state, scored = self.state, self.state.scored
        is_finished = state.status is RunStatus.FINISHED
        progress = Bar(format.UNKNOWN, 1.0 if is_finished else None)
        if self.of and not is_finished:
            progress = Bar(f"{self.done}/{self.of}", self.done / self.of)
        mean = format.score(scored.rouge.mean if scored else None)
        status = status_cell(state.status)
        return self.name, status, stage(state.stage), progress, self.loss, mean, self.left


class LiveDisplay(ABC):
    """Draw ``picture()`` again and again on a terminal, inside a block; print lines anywhere.

    Args:
        stream: where to; nothing is drawn unless it is a terminal.
        interval_seconds: minimum time between two progress lines on other streams.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        interval_seconds: float = 10.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._console: Console = console(stream)
        self._interval_seconds = interval_seconds
        self._clock = clock
        self._live: Live | None = None

    def __enter__(self) -> Self:
        # Rich calls a pipe a terminal where FORCE_COLOR is set, as Jupyter does.
        if self._console.file.isatty() and not self._console.is_dumb_terminal:
            from rich.live import Live

            self._live = Live(
                get_renderable=self.picture, console=self._console, refresh_per_second=4
            )
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    @abstractmethod
    def picture(self) -> "Group":
        """Return what is drawn."""

    def say(self, sentence: str) -> None:
        """Print a sentence that stays, above the picture."""
        self._console.print(plain(sentence), soft_wrap=True)


class LiveProgress(LiveDisplay):
    """Live display of a line-up's events; use as a context manager around the line-up.

    Args:
        names: run id to the recipe's name, in the line-up's order; later runs are appended.
        states: previous states by run id.
        stream: output stream; rows and bars are drawn only on a terminal.
        interval_seconds: minimum time between two progress lines of a run on other streams.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        names: dict[str, str],
        stream: TextIO,
        *,
        states: Mapping[str, RunState] = _NOTHING_KNOWN,
        interval_seconds: float = 10.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        super().__init__(stream, interval_seconds=interval_seconds, clock=clock)
        self._rows = {run: ProgressRow(name, states.get(run)) for run, name in names.items()}

    def __call__(self, run_id: str, event: AnyEvent) -> None:
        """Add ``event`` of ``run_id`` and show it."""
        row = self._rows.setdefault(run_id, ProgressRow(run_id))
        row.feed(event)
        line = news(row, event)
        if line is None and self._live is None and self._is_due(row):
            line = _progress_line(row, event)
        if line is not None:
            row.printed_at = self._clock()
            if self._live is None or isinstance(event, _PERMANENT):
                self.say(line)

    def _is_due(self, row: ProgressRow) -> bool:
        return self._clock() - row.printed_at >= self._interval_seconds

    def picture(self) -> "Group":
        """Return a row for each run, and when all of them end."""
        from rich.console import Group
        from rich.text import Text

        drawn = table(LIVE_COLUMNS, [row.cells for row in self._rows.values()])
        rows = (TableView(one, bar_width=BAR_WIDTH) for one in drawn)
        coming = (row for row in self._rows.values() if row.state.status in TO_COME)
        end = all_ends((row.state.status, row.total, row.state.last_at) for row in coming)
        return Group(*rows, Text(end or ""))


def news(row: ProgressRow, event: AnyEvent) -> str | None:
    """Return the line of an event that is always printed; ``None`` for frequent events."""
    line_of = _NEWS.get(type(event))
    return line_of(row, event) if line_of else None


def _line(row: ProgressRow, key: str, **fields: object) -> str:
    return text(f"report.{key}", name=row.name, **fields)


def _prepared(row: ProgressRow, event: Prepared) -> str:
    return _line(
        row,
        "live-prepared",
        rows=format.count(event.rows),
        steps=format.count(event.steps),
        parameters=format.parameters(event.parameters),
        trainable=format.parameters(event.trainable_parameters),
    )


def _stage_done(row: ProgressRow, event: StageDone) -> str | None:
    """Return the line of a stage; scoring has one already, with the score."""
    if event.stage in {"score", "score-dev2"}:
        return None
    time = format.duration(event.seconds)
    return _line(row, "live-stage-done", stage=stage(event.stage), time=time)


def _evaluated(row: ProgressRow, event: Evaluated) -> str:
    return _line(
        row,
        "live-evaluated-average" if event.averaged else "live-evaluated",
        step=event.step,
        mean=format.score(event.rouge.mean),
        loss=format.UNKNOWN if event.loss is None else f"{event.loss:.3f}",
        rows=event.rows,
        best=text("report.live-best", metric=event.metric)
        if event.best and event.beats_start is not False
        else "",
    )


def _progress_line(row: ProgressRow, event: AnyEvent) -> str | None:
    match event:
        case TrainStep():
            of = row.of if row.of is not None else format.UNKNOWN
            return _line(row, "live-step", step=event.step, of=of, loss=row.loss, left=row.left)
        case PredictionProgress():
            return _line(row, "live-rows", split=event.split, done=event.done, of=event.of)
        case PreflightCheck():
            title = text(f"engine.proof-{event.check.name}")
            return _line(row, "live-check", title=title, found=event.check.found)
        case _:
            return None


_NEWS: dict[type[Event], Callable[[ProgressRow, Any], str | None]] = {
    Started: lambda row, event: _line(
        row, "live-started" if event.attempt <= 1 else "live-resumed", attempt=event.attempt
    ),
    StageDone: _stage_done,
    Prepared: _prepared,
    Evaluated: _evaluated,
    BackendParityChecked: lambda row, event: _line(
        row, "live-compared", what=format.proved(event.check.name), found=event.check.found
    ),
    Scored: lambda row, event: _line(
        row,
        "live-scored",
        split=event.split,
        mean=format.score(event.rouge.mean),
        rows=event.rows,
    ),
    Stopped: lambda row, event: _line(row, "live-stopped", step=event.step),
    Failed: lambda row, event: _line(row, "live-failed", problem=event.said),
    Finished: lambda row, event: _line(row, "live-finished", time=format.duration(event.seconds)),
    Warned: lambda row, event: _line(row, "live-warned", what=recorded(event.key, event.fields)),
}
"""Events that are always printed, with their lines; frequent events are rate-limited."""


@contextmanager
def showing(runs: Sequence[Run], stream: TextIO) -> Iterator[Callable[[Run, AnyEvent], None]]:
    """Show the events of a line-up within the block; yield the callback that receives them."""
    names = {run.name: run.identity.recipe for run in runs}
    states = {run.name: run.state() for run in runs}
    with LiveProgress(names, stream, states=states) as progress:
        yield lambda run, event: progress(run.name, event)


_PERMANENT = (Evaluated, BackendParityChecked, Scored, Stopped, Failed, Warned)
"""Events printed permanently above the rows on a terminal; the rows show all others."""
