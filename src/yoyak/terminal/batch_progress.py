"""Show how far a batch of summaries is: a bar on a terminal, a line now and then elsewhere."""

from typing import TYPE_CHECKING

from yoyak.messages import text
from yoyak.prediction.predict import BatchProgress
from yoyak.report.sections import format
from yoyak.report.sections.blocks import Bar, Table, TableColumn
from yoyak.terminal.progress import BAR_WIDTH, LiveDisplay
from yoyak.terminal.render import TableView

if TYPE_CHECKING:
    from rich.console import Group


class BatchProgressView(LiveDisplay):
    """Live display of a batch; use as a context manager and call it with each progress."""

    _shown_at: float | None = None
    _stopping = False
    _progress: BatchProgress | None = None

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

    def picture(self) -> "Group":
        """Return the bar, once there is a row."""
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
