"""When the rest of the line-up would end: one run after the other, each at its own pace."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from yoyak.events import Status
from yoyak.queue import devices
from yoyak.queue.plan import Place, plan
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
    place = Place(next(iter(devices.here()), None), None, 0.0, runs=runs)
    spans = [(run, plan([run.recipe], corpus, place).span) for run in queued]
    return {
        run.name: Forecast(p50_seconds=span.low_seconds, p90_seconds=span.high_seconds)
        for run, span in spans
        if span is not None
    }


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


def planned(coming: Sequence[Progress], now: float) -> Iterator[Span]:
    """A stretch for each run to come; after one whose pace nobody knows, nothing is known."""
    soon = late = now
    for one in coming:
        if one.forecast is None:
            return
        if one.status is Status.RUNNING and one.last_at is not None:
            soon = late = one.last_at
        start = soon
        soon, late = soon + one.forecast.p50_seconds, late + one.forecast.p90_seconds
        yield Span(
            run=one.run,
            name=one.name,
            kind="planned",
            start=start,
            end=soon,
            late_end=late,
            record=one.record,
        )
