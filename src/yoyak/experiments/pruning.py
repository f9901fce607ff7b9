"""Decide whether a trial is stopped early, as ASHA does (Li 2018), but not within the noise.

At evaluations 1, 3, 9 … in training a trial has to be among the best third of those that came as
far. One that is not is stopped only if the 95 % interval of its own evaluation does not reach the
last of that third: dev is small, and a difference within its noise is no reason to stop.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from yoyak.events import AnyEvent, Evaluated
from yoyak.values import DevMetric, Interval

REDUCTION = 3
"""One of so many goes on, and evaluations are so many times apart."""


class Checkpointed(NamedTuple):
    """One evaluation in training: value and interval, more being better."""

    value: float
    interval: Interval


def evaluations_of(events: Sequence[AnyEvent], metric: DevMetric) -> list[Checkpointed]:
    """Return the evaluations in a run's log in the order of steps, each step once, without step 0.

    A run that was killed may have evaluated a step twice, with the same result.
    """
    by_step: dict[int, Evaluated] = {}
    for event in events:
        if isinstance(event, Evaluated) and event.step > 0:
            by_step.setdefault(event.step, event)
    return [_of(by_step[step], metric) for step in sorted(by_step)]


def _of(event: Evaluated, metric: DevMetric) -> Checkpointed:
    if metric is DevMetric.EVAL_LOSS and event.loss is not None and event.loss_interval is not None:
        interval = event.loss_interval
        negative = Interval(low=-interval.high, high=-interval.low, level=interval.level)
        return Checkpointed(-event.loss, negative)
    return Checkpointed(event.rouge.mean, event.interval)


def pruned_at(
    evaluations: Sequence[Checkpointed], earlier: Sequence[Sequence[float]]
) -> int | None:
    """Return after how many evaluations the trial is stopped; ``None`` where it goes on.

    Args:
        evaluations: those of the trial so far.
        earlier: the evaluations of earlier trials, as far as each came.
    """
    at = 1
    while at <= len(evaluations):
        peers = [one[at - 1] for one in earlier if len(one) >= at]
        own = evaluations[at - 1]
        if peers:
            kept = math.ceil((len(peers) + 1) / REDUCTION)
            cutoff = sorted((*peers, own.value), reverse=True)[kept - 1]
            if own.value < cutoff and own.interval.high < cutoff:
                return at
        at *= REDUCTION
    return None
