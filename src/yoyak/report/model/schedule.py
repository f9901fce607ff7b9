"""Planned schedule of the pending runs, at the current number of parallel runs and their pace."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush

from yoyak.events import RunStatus
from yoyak.report.model.history import RunHistory
from yoyak.report.model.report import RunProgress
from yoyak.report.model.values import TimelineSpan

TO_COME = (RunStatus.RUNNING, RunStatus.INTERRUPTED, RunStatus.STOPPED, RunStatus.QUEUED)
"""Statuses of pending runs, in the order they resume; a failed run needs manual action."""


def pending_runs(
    runs: Sequence[RunHistory], progress: Mapping[str, RunProgress]
) -> list[RunProgress]:
    """Return the progress of the pending runs, in the order in which they would run."""
    found = [progress[run.id] for run in runs if run.status in TO_COME]
    return sorted(found, key=lambda one: TO_COME.index(one.status))


def places(coming: Iterable[RunProgress]) -> int:
    """Return the number of parallel runs, taken as the number now running, at least 1."""
    return max(1, sum(one.status is RunStatus.RUNNING for one in coming))


def planned(coming: Sequence[RunProgress], now: float) -> Iterator[TimelineSpan]:
    """Yield a span for each pending run, up to the first without a forecast."""
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
