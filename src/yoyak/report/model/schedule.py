"""When the rest of the line-up would end: as many runs at a time as now, each at its own pace."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush

import msgspec

from yoyak.events import RunStatus
from yoyak.report.model.history import RunHistory
from yoyak.report.model.report import RunProgress
from yoyak.report.model.values import Forecast, TimelineSpan
from yoyak.runs.run import Run
from yoyak.values import Corpus

TO_COME = (RunStatus.RUNNING, RunStatus.INTERRUPTED, RunStatus.STOPPED, RunStatus.QUEUED)
"""What the same command would take up, in this order; a failed run waits for a person."""


def expected_end(queued: Sequence[Run], runs: Sequence[Run], corpus: Corpus) -> dict[str, Forecast]:
    """What the plan expects of runs that have not begun, by their names.

    Only where the pace was measured here or the card has a data sheet; toys mostly have neither.
    """
    if not queued:
        return {}
    from yoyak.planning import gpu_catalogue  # ``yoyak status`` mostly plans nothing
    from yoyak.planning.plan import PlanTarget, plan

    gpu = next(iter(gpu_catalogue.installed_gpus()), None)
    target = PlanTarget(gpu, None, 0.0, runs=runs)
    times = [(run, plan([run.recipe], corpus, target).time) for run in queued]
    return {
        run.name: Forecast(p50_seconds=time.low_seconds, p90_seconds=time.high_seconds)
        for run, time in times
        if time is not None
    }


def expected_of_queued(runs: Sequence[Run], corpus: Corpus) -> dict[str, Forecast]:
    """As ``expected``, of those of ``runs`` that have not begun."""
    queued = [run for run in runs if run.state().status is RunStatus.QUEUED]
    return expected_end(queued, runs, corpus)


def with_expected(
    progress: Sequence[RunProgress], known: Mapping[str, Forecast]
) -> tuple[RunProgress, ...]:
    """The progress of runs, those without a pace of their own with what the plan expects."""
    return tuple(
        msgspec.structs.replace(one, forecast=one.forecast or known.get(one.run))
        for one in progress
    )


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
