"""Forecasts of the remaining time of a run and of the line-up, from the measured pace only."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush, heapreplace
from itertools import pairwise
from statistics import fmean, median, quantiles

from yoyak.events import (
    AlignStep,
    AnyEvent,
    CheckpointSaved,
    Evaluated,
    PredictionProgress,
    Prepared,
    RunState,
    RunStatus,
    StageStarted,
    TrainStep,
)
from yoyak.report.model.report import Forecast, RunProgress, TimelineSpan

_BLOCK_STEPS = 10
"""Block size for ranking: slow steps occur in runs (long batches, a busy disk)."""

RECENT_STEPS = 500
"""Number of steps the pace is measured over; older steps do not reflect the current pace."""


class Pace:
    """Pace of training and generation, accumulated one event at a time."""

    def __init__(self) -> None:
        self.steps = 0
        self.step = 0
        self._seconds: deque[float] = deque(maxlen=RECENT_STEPS)
        self._other_seconds = 0.0
        self._evaluated: float | None = None
        """Seconds per row of the newest evaluation."""
        self._generated: PredictionProgress | None = None
        self._row_seconds: list[float] = []

    def feed(self, event: AnyEvent) -> None:
        """Add an event; events without timing are ignored."""
        match event:
            case StageStarted(stage="align"):
                self._seconds.clear()
                self._other_seconds = 0.0
                self.steps = self.step = 0
            case TrainStep() | AlignStep():
                self.step = event.step
                self._seconds.append(event.seconds)
            case Prepared():
                self.steps = event.steps
            case Evaluated() | CheckpointSaved():
                self._other_seconds += event.seconds
                if isinstance(event, Evaluated) and event.rows:
                    self._evaluated = event.seconds / event.rows
            case PredictionProgress():
                if self._generated is not None:
                    self._row_seconds += row_seconds((self._generated, event))
                self._generated = event
            case _:
                pass

    @property
    def seconds_per_step(self) -> float | None:
        """Median of the recent steps; ``None`` before the first."""
        return median(self._seconds) if self._seconds else None

    @property
    def forecast(self) -> Forecast | None:
        """Time to the last step, including evaluations and saves at their average cost per step."""
        if not self._seconds or not self.steps:
            return None
        left = max(self.steps - self.step, 0)
        other = self._other_seconds / self.step
        usual = median(self._seconds)
        return Forecast(
            p50_seconds=left * (usual + other),
            p90_seconds=left * (max(slow_pace(list(self._seconds)), usual) + other),
        )

    def generation(self, rows: int, num_beams: int) -> Forecast | None:
        """Return the time that ``rows`` more rows take.

        At the pace of what the run has predicted; before that, of its evaluations, which are
        greedy: ``num_beams`` beams take between once and ``num_beams`` times as long.
        """
        if not rows:
            return Forecast(p50_seconds=0.0, p90_seconds=0.0)
        if self._row_seconds:
            return _rows_left(rows, self._row_seconds)
        if self._evaluated is None:
            return None
        once = rows * self._evaluated
        return Forecast(p50_seconds=once, p90_seconds=once * num_beams)


def pace_of(events: Iterable[AnyEvent]) -> Pace:
    """Return the pace after all of ``events``."""
    pace = Pace()
    for event in events:
        pace.feed(event)
    return pace


def slow_pace(seconds: Sequence[float]) -> float:
    """Return the 90th percentile of seconds per step over blocks of ten steps.

    With fewer than two blocks, the slowest step.
    """
    if len(seconds) < 2 * _BLOCK_STEPS:
        return max(seconds)
    blocks = [
        fmean(seconds[start : start + _BLOCK_STEPS])
        for start in range(0, len(seconds) - _BLOCK_STEPS + 1, _BLOCK_STEPS)
    ]
    return quantiles(blocks, n=10, method="inclusive")[-1]


def generation_left(steps: Sequence[PredictionProgress]) -> Forecast | None:
    """Return the time for the remaining rows, from the pace between progress events so far."""
    paces = list(row_seconds(steps))
    return _rows_left(steps[-1].of - steps[-1].done, paces) if paces else None


def row_seconds(steps: Sequence[PredictionProgress]) -> Iterator[float]:
    """Yield the seconds per row between progress events of one split and attempt."""
    for sooner, later in pairwise(steps):
        rows, seconds = later.done - sooner.done, later.seconds - sooner.seconds
        if sooner.split == later.split and rows > 0 and seconds > 0:
            yield seconds / rows


def _rows_left(rows: int, paces: Sequence[float]) -> Forecast:
    usual = median(paces)
    slow = quantiles(paces, n=10, method="inclusive")[-1] if len(paces) > 1 else usual
    return Forecast(p50_seconds=rows * usual, p90_seconds=rows * max(slow, usual))


def run_left(state: RunState, stage_left: Forecast | None, pace: Pace) -> Forecast | None:
    """Return the time to the end of a run: what is left of its stage, and all generation after it.

    ``None`` where a part of it is unknown; what is left of the stage where the log does not say
    what follows. Scoring takes seconds and is left out.
    """
    plan = state.planned
    if stage_left is None or plan is None or state.status is RunStatus.QUEUED:
        return stage_left
    if plan.aligns and state.stage == "train":
        return None
    in_training = state.stage in {None, "train", "align"}
    coming = {
        stage: rows
        for stage, rows in plan.generated_rows.items()
        if in_training or (stage != state.stage and stage not in state.records)
    }
    after = pace.generation(sum(coming.values()), plan.num_beams)
    if after is None:
        return None
    return Forecast(
        p50_seconds=stage_left.p50_seconds + after.p50_seconds,
        p90_seconds=stage_left.p90_seconds + after.p90_seconds,
    )


def until_all(forecasts: Sequence[Forecast], places: int) -> Forecast | None:
    """Return the time until all have ended, each started in turn on the first free of ``places``.

    ``None`` without forecasts.
    """
    if not forecasts:
        return None
    return Forecast(
        p50_seconds=_last_end([each.p50_seconds for each in forecasts], places),
        p90_seconds=_last_end([each.p90_seconds for each in forecasts], places),
    )


def _last_end(seconds: Sequence[float], places: int) -> float:
    ends = [0.0] * places
    for each in seconds:
        heapreplace(ends, ends[0] + each)
    return max(ends)


# --- the line-up --------------------------------------------------------------------------------


TO_COME = (RunStatus.RUNNING, RunStatus.INTERRUPTED, RunStatus.STOPPED, RunStatus.QUEUED)
"""Statuses of pending runs, in the order they resume; a failed run needs manual action."""


def pending_runs(progress: Iterable[RunProgress]) -> list[RunProgress]:
    """Return the progress of the pending runs, in the order in which they would run."""
    found = [one for one in progress if one.status in TO_COME]
    return sorted(found, key=lambda one: TO_COME.index(one.status))


def places(coming: Iterable[RunProgress]) -> int:
    """Return the number of parallel runs, taken as the number now running, at least 1."""
    return max(1, sum(one.status is RunStatus.RUNNING for one in coming))


def planned(coming: Sequence[RunProgress], now: float) -> Iterator[TimelineSpan]:
    """Yield a span for each pending run, up to the first without a forecast."""
    free = [(now, now)] * places(coming)
    for one in coming:
        if one.total is None:
            return
        start, late = heappop(free)
        if one.status is RunStatus.RUNNING and one.last_at is not None:
            start = late = one.last_at
        soon, late = start + one.total.p50_seconds, late + one.total.p90_seconds
        heappush(free, (soon, late))
        yield TimelineSpan(
            run=one.run,
            name=one.name,
            kind="planned",
            start=start,
            end=soon,
            late_end=late,
            record=one.record,
        )
