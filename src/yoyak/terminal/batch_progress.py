"""Show how far a batch of summaries is: a bar on a terminal, a line now and then elsewhere."""

from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from yoyak.messages import text
from yoyak.prediction.predict import BatchProgress
from yoyak.report.render.escape import plain
from yoyak.report.sections import format
from yoyak.report.sections.blocks import Bar, Table, TableColumn
from yoyak.terminal.progress import BAR_WIDTH
from yoyak.terminal.render import TableView, console

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.live import Live


class BatchProgressView:
    """Live display of a batch; use as a context manager and call it with each progress.

    Args:
        stream: output stream; a bar is drawn only on a terminal.
        interval_seconds: minimum time between two lines on other streams.
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
        self._shown_at: float | None = None
        self._stopping = False
        self._progress: BatchProgress | None = None
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            from rich.live import Live

            self._live = Live(
                get_renderable=self._picture, console=self._console, refresh_per_second=4
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __call__(self, progress: BatchProgress) -> None:
        """Show ``progress``; say once that the command ends with this shard."""
        self._progress = progress
        if progress.stopping and not self._stopping:
            self._stopping = True
            self.say(text("prediction.stopping"))
        now = self._clock()
        if self._shown_at is None:
            self._shown_at = now  # one row after a model has been loaded tells no pace
        elif self._live is None and now - self._shown_at >= self._interval_seconds:
            self._shown_at = now
            self.say(line(progress))

    def say(self, sentence: str) -> None:
        """Print a sentence that stays, above the bar."""
        self._console.print(plain(sentence), soft_wrap=True)

    def _picture(self) -> "Group":
        from rich.console import Group

        return Group(*([] if self._progress is None else [_bar(self._progress)]))


def line(progress: BatchProgress) -> str:
    """Return rows, pace and time left as one sentence."""
    return text(
        "prediction.progress",
        rows=_rows(progress),
        pace=format_pace(progress.rows_per_second),
        left=format.duration(progress.seconds_left),
    )


def format_pace(pace: float | None) -> str:
    """Return rows a second, with one decimal below 100."""
    if pace is None:
        return format.UNKNOWN
    return f"{pace:,.0f}" if pace >= 100 else f"{pace:.1f}"


def _rows(progress: BatchProgress) -> str:
    of = format.count(progress.expected_rows)
    return f"{format.count(progress.rows)}/{of}"


def _bar(progress: BatchProgress) -> TableView:
    share = progress.rows / progress.expected_rows if progress.expected_rows else None
    pace = text("prediction.pace", pace=format_pace(progress.rows_per_second))
    left = text("prediction.left", left=format.duration(progress.seconds_left))
    row = (Bar(_rows(progress), share), pace, left)
    return TableView(Table((TableColumn("", is_number=True),) * 3, (row,)), bar_width=BAR_WIDTH)
