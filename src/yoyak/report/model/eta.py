"""How long it still takes, from the pace that was measured and nothing else."""

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
"""Slow steps come in stretches (long batches, a busy disk), so stretches are what is ranked."""

RECENT_STEPS = 500
"""Older steps say nothing about a machine's pace now."""


class Pace:
    """The pace of training, fed one event at a time."""

    def __init__(self) -> None:
        self.steps = 0
        self.step = 0
        self._seconds: deque[float] = deque(maxlen=RECENT_STEPS)
        self._other_seconds = 0.0

    def feed(self, event: AnyEvent) -> None:
        """Takes an event into account; those that say nothing of pace are passed over."""
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
        """The median of recent steps, ``None`` before the first."""
        return median(self._seconds) if self._seconds else None

    @property
    def forecast(self) -> Forecast | None:
        """Time to the last step, with evaluations and saves at the rate they have had so far."""
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
    """The pace of a whole log."""
    pace = Pace()
    for event in events:
        pace.feed(event)
    return pace


def slow_pace(seconds: Sequence[float]) -> float:
    """Seconds a step in the slowest tenth of stretches of ten steps."""
    if len(seconds) < 2 * _BLOCK_STEPS:
        return max(seconds)
    blocks = [
        fmean(seconds[start : start + _BLOCK_STEPS])
        for start in range(0, len(seconds) - _BLOCK_STEPS + 1, _BLOCK_STEPS)
    ]
    return quantiles(blocks, n=10, method="inclusive")[-1]


def generation_left(steps: Sequence[PredictionProgress]) -> Forecast | None:
    """Time for the rows that are left, from the pace of each stretch of rows so far."""
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
    """Until the last one ends, each begun in its turn on the first of ``places`` that is free.

    ``None`` if there is nothing to do.
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
