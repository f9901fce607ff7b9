"""When the rest of the line-up would end: as many runs at a time as now, each at its own pace."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush

import msgspec

from yoyak.events import Status
from yoyak.report.chronicle import RunRecord
from yoyak.report.parts import Forecast, Span
from yoyak.report.view import Progress
from yoyak.store.run import Run
from yoyak.values import Corpus

TO_COME = (Status.RUNNING, Status.INTERRUPTED, Status.STOPPED, Status.QUEUED)
"""What the same command would take up, in this order; a failed run waits for a person."""


def expected(queued: Sequence[Run], runs: Sequence[Run], corpus: Corpus) -> dict[str, Forecast]:
    """What the plan expects of runs that have not begun, by their names.

    Only where the pace was measured here or the card has a data sheet; toys mostly have neither.
    """
    if not queued:
        return {}
    from yoyak.queue import devices  # ``yoyak status`` mostly plans nothing
    from yoyak.queue.plan import Place, plan

    place = Place(next(iter(devices.here()), None), None, 0.0, runs=runs)
    spans = [(run, plan([run.recipe], corpus, place).span) for run in queued]
    return {
        run.name: Forecast(p50_seconds=span.low_seconds, p90_seconds=span.high_seconds)
        for run, span in spans
        if span is not None
    }


def expected_of_queued(runs: Sequence[Run], corpus: Corpus) -> dict[str, Forecast]:
    """As ``expected``, of those of ``runs`` that have not begun."""
    queued = [run for run in runs if run.state().status is Status.QUEUED]
    return expected(queued, runs, corpus)


def with_expected(
    progress: Sequence[Progress], known: Mapping[str, Forecast]
) -> tuple[Progress, ...]:
    """The progress of runs, those without a pace of their own with what the plan expects."""
    return tuple(
        msgspec.structs.replace(one, forecast=one.forecast or known.get(one.run))
        for one in progress
    )


def to_come(runs: Sequence[RunRecord], progress: Mapping[str, Progress]) -> list[Progress]:
    """The runs that are not done, in the order in which they would be."""
    found = [progress[run.id] for run in runs if run.status in TO_COME]
    return sorted(found, key=lambda one: TO_COME.index(one.status))


def places(coming: Iterable[Progress]) -> int:
    """How many runs the cards have room for at a time, as far as that is seen: those that work."""
    return max(1, sum(one.status is Status.RUNNING for one in coming))


def planned(coming: Sequence[Progress], now: float) -> Iterator[Span]:
    """A stretch for each run to come; after one whose pace nobody knows, nothing is known."""
    free = [(now, now)] * places(coming)
    for one in coming:
        if one.forecast is None:
            return
        start, late = heappop(free)
        if one.status is Status.RUNNING and one.last_at is not None:
            start = late = one.last_at
        soon, late = start + one.forecast.p50_seconds, late + one.forecast.p90_seconds
        heappush(free, (soon, late))
        yield Span(
            run=one.run,
            name=one.name,
            kind="planned",
            start=start,
            end=soon,
            late_end=late,
            record=one.record,
        )
