"""When the rest of the line-up would end: as many runs at a time as now, each at its own pace."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush

from yoyak.events import RunStatus
from yoyak.report.model.history import RunHistory
from yoyak.report.model.report import RunProgress
from yoyak.report.model.values import TimelineSpan

TO_COME = (RunStatus.RUNNING, RunStatus.INTERRUPTED, RunStatus.STOPPED, RunStatus.QUEUED)
"""What the same command would take up, in this order; a failed run waits for a person."""


def pending_runs(
    runs: Sequence[RunHistory], progress: Mapping[str, RunProgress]
) -> list[RunProgress]:
    """The runs that are not done, in the order in which they would be."""
    found = [progress[run.id] for run in runs if run.status in TO_COME]
    return sorted(found, key=lambda one: TO_COME.index(one.status))


def places(coming: Iterable[RunProgress]) -> int:
    """How many runs the cards have room for at a time, as far as that is seen: those that work."""
    return max(1, sum(one.status is RunStatus.RUNNING for one in coming))


def planned(coming: Sequence[RunProgress], now: float) -> Iterator[TimelineSpan]:
    """A stretch for each run to come; after one whose pace nobody knows, nothing is known."""
    free = [(now, now)] * places(coming)
    for one in coming:
        if one.forecast is None:
            return
        start, late = heappop(free)
        if one.status is RunStatus.RUNNING and one.last_at is not None:
            start = late = one.last_at
        soon, late = start + one.forecast.p50_seconds, late + one.forecast.p90_seconds
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
