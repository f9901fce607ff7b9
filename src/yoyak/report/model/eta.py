"""Forecasts of the remaining time, from the measured pace only."""

from collections import deque
from collections.abc import Iterable, Sequence
from heapq import heapreplace
from itertools import pairwise
from statistics import fmean, median, quantiles

from yoyak.events import (
    AnyEvent,
    CheckpointSaved,
    Evaluated,
    PredictionProgress,
    Prepared,
    TrainStep,
)
from yoyak.report.model.values import Forecast

_BLOCK_STEPS = 10
"""Block size for ranking: slow steps occur in runs (long batches, a busy disk)."""

RECENT_STEPS = 500
"""Number of steps the pace is measured over; older steps do not reflect the current pace."""


class Pace:
    """Pace of training, accumulated one event at a time."""

    def __init__(self) -> None:
        self.steps = 0
        self.step = 0
        self._seconds: deque[float] = deque(maxlen=RECENT_STEPS)
        self._other_seconds = 0.0

    def feed(self, event: AnyEvent) -> None:
        """Add an event; events without timing are ignored."""
        match event:
            case TrainStep():
                self.step = event.step
                self._seconds.append(event.seconds)
            case Prepared():
                self.steps = event.steps
            case Evaluated() | CheckpointSaved():
                self._other_seconds += event.seconds
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
    paces = [
        (later.seconds - sooner.seconds) / (later.done - sooner.done)
        for sooner, later in pairwise(steps)
        if later.done > sooner.done and later.seconds > sooner.seconds
    ]
    if not paces:
        return None
    left = steps[-1].of - steps[-1].done
    usual = median(paces)
    slow = quantiles(paces, n=10, method="inclusive")[-1] if len(paces) > 1 else usual
    return Forecast(p50_seconds=left * usual, p90_seconds=left * max(slow, usual))


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
