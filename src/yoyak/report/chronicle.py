"""What happened to a run in the order of its log: incidents, timeline, curves, progress."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

from yoyak.events import (
    AnyEvent,
    Evaluated,
    Failed,
    Generated,
    RunState,
    Sampled,
    Saved,
    Started,
    Status,
    Stepped,
    Stopped,
    Warned,
)
from yoyak.recipe import Recipe
from yoyak.report.forecast import generation_left, pace_of
from yoyak.report.parts import Incident, Sentence, Span
from yoyak.report.view import Curve, Difference, Progress, Quality

POINTS = 200
"""A curve is drawn with at most this many points; more cannot be told apart on a screen."""

Point = TypeVar("Point")


class RunRecord(NamedTuple):
    """What the workspace holds of one run; ``status`` has the lock's word on alive or dead."""

    id: str
    folder: str
    recipe: Recipe
    events: tuple[AnyEvent, ...]
    status: Status
    quality: Quality | None = None
    difference: Difference | None = None
    state: RunState | None = None
    """What the events add up to, where somebody has folded them already."""
    tied_with_best: bool | None = None
    decode_seconds_per_100: float | None = None
    tokens_per_character: float | None = None
    summary_lengths: tuple[int, ...] = ()
    label: str | None = None

    @property
    def name(self) -> str:
        """What the reader calls it: its recipe, or a name that tells it from others of the same."""
        return self.label or self.recipe.name

    @property
    def log(self) -> str:
        """The address of the whole log."""
        return f"{self.folder}/events.jsonl"

    def at(self, index: int) -> str:
        """The address of the event at ``index``."""
        return f"{self.log}#L{index + 1}"


def progress(run: RunRecord, state: RunState) -> Progress:
    """Where the run stands in its stage."""
    pace = pace_of(run.events)
    last, prepared, generated = state.last_step, state.prepared, state.generated
    return Progress(
        run=run.id,
        name=run.name,
        status=run.status,
        stage=state.stage,
        done=generated.done if generated else state.step,
        of=generated.of if generated else (prepared.steps if prepared else None),
        unit="row" if generated else "step",
        epoch=last.epoch if last else None,
        rows_seen=_rows_seen(run.events),
        rows=prepared.rows if prepared else None,
        seconds_per_unit=None if generated else pace.seconds_per_step,
        loss=last.loss if last else None,
        grad_norm=last.grad_norm if last else None,
        learning_rate=last.learning_rate if last else None,
        forecast=generation_left(last_generation(run.events)) if generated else pace.forecast,
        last_at=state.last_at,
        record=run.at(len(run.events) - 1) if run.events else run.log,
    )


def _rows_seen(events: Sequence[AnyEvent]) -> int | None:
    """Rows that trained; a step that was lost and done again counts once."""
    rows = {event.step: event.rows for event in events if isinstance(event, Stepped)}
    return sum(rows.values()) if rows else None


def last_generation(events: Sequence[AnyEvent]) -> list[Generated]:
    """The events of the generation that is going on, or was last."""
    found: list[Generated] = []
    for event in events:
        if isinstance(event, Generated):
            if found and (found[-1].split != event.split or found[-1].done > event.done):
                found = []
            found.append(event)
        elif isinstance(event, Started):
            found = []
    return found


def incidents(run: RunRecord, state: RunState) -> Iterator[Incident]:
    """Every interruption, stop, failure and warning, with the steps that had to be done again."""
    step = 0
    ended = True
    for index, event in enumerate(run.events):
        if isinstance(event, Stepped):
            step = event.step
        elif isinstance(event, Started):
            if not ended:
                yield _incident(run, index, step, _resumed(step), _lost(run.events, index, step))
            ended = False
        elif isinstance(event, Stopped | Failed | Warned):
            ended = ended or not isinstance(event, Warned)
            yield _incident(run, index, step, _told(event), None)
    if run.status is Status.INTERRUPTED:
        yield _incident(run, len(run.events) - 1, step, _cut_off(state), None)


def _told(event: Stopped | Failed | Warned) -> Sentence:
    match event:
        case Stopped():
            fields = {"step": str(event.step), "reason": event.reason}
            return Sentence(key="report.incident-stopped", fields=fields)
        case Failed():
            return Sentence(key="report.incident-failed", fields={"problem": event.message})
        case Warned():
            return Sentence(key=event.key, fields=event.fields)


def _incident(run: RunRecord, index: int, step: int, what: Sentence, lost: int | None) -> Incident:
    return Incident(
        at=run.events[index].at,
        run=run.id,
        name=run.name,
        step=step,
        what=what,
        lost_steps=lost,
        record=run.at(index),
    )


def _resumed(step: int) -> Sentence:
    return Sentence(key="report.incident-resumed", fields={"step": str(step)})


def _lost(events: Sequence[AnyEvent], index: int, step: int) -> int | None:
    """How many steps a second start had to do again; unknown until it steps."""
    following = next((event.step for event in events[index:] if isinstance(event, Stepped)), None)
    return None if following is None else max(step - following + 1, 0)


def _cut_off(state: RunState) -> Sentence:
    fields = {"step": str(state.step)}
    if state.last_saved is None:
        return Sentence(key="report.incident-interrupted-unsaved", fields=fields)
    fields["saved"] = str(state.last_saved.step)
    return Sentence(key="report.incident-interrupted", fields=fields)


class _Attempt(NamedTuple):
    start: float
    end: float
    first: int


def spans(run: RunRecord, doing: Progress | None) -> Iterator[Span]:
    """Every attempt from its start to its last word, and the rest of it as forecast."""
    attempts = _attempts(run.events)
    for number, attempt in enumerate(attempts, 1):
        alive = number == len(attempts) and run.status is Status.RUNNING
        yield Span(
            run=run.id,
            name=run.name,
            kind="running" if alive else "worked",
            start=attempt.start,
            end=attempt.end,
            record=run.at(attempt.first),
        )
        if alive and doing is not None and doing.forecast is not None:
            yield Span(
                run=run.id,
                name=run.name,
                kind="planned",
                start=attempt.end,
                end=attempt.end + doing.forecast.p50_seconds,
                late_end=attempt.end + doing.forecast.p90_seconds,
                record=doing.record,
            )


def _attempts(events: Sequence[AnyEvent]) -> list[_Attempt]:
    starts = [index for index, event in enumerate(events) if isinstance(event, Started)]
    return [
        _Attempt(events[index].at, events[following - 1].at, index)
        for index, following in pairwise([*starts, len(events)])
    ]


def curve(run: RunRecord) -> Curve:
    """What was measured along training; a step that was done again counts with its last value."""
    by_step = {event.step: event for event in run.events if isinstance(event, Stepped)}
    steps = thinned(list(by_step.values()), lambda event: event.grad_norm)
    sampled = thinned(
        [event for event in run.events if isinstance(event, Sampled)],
        lambda event: event.vram_used_gb or event.disk_used_gb or 0.0,
    )
    evaluated = thinned(
        [event for event in run.events if isinstance(event, Evaluated)],
        lambda event: event.rouge.mean,
    )
    return Curve(
        run=run.id,
        name=run.name,
        steps=tuple(event.step for event in steps),
        losses=tuple(event.loss for event in steps),
        grad_norms=tuple(event.grad_norm for event in steps),
        learning_rates=tuple(event.learning_rate for event in steps),
        evaluated_epochs=tuple(event.epoch for event in evaluated),
        evaluated_means=tuple(event.rouge.mean for event in evaluated),
        sampled_at=tuple(event.at for event in sampled),
        disk_used_gb=tuple(event.disk_used_gb for event in sampled),
        vram_used_gb=tuple(event.vram_used_gb for event in sampled),
        summary_lengths=run.summary_lengths,
    )


def thinned(
    points: Sequence[Point], height: Callable[[Point], float], most: int = POINTS
) -> Sequence[Point]:
    """At most ``most`` of ``points``: first, last, and the highest of every stretch between."""
    if len(points) <= most:
        return points
    inner = points[1:-1]
    cuts = [place * len(inner) // (most - 2) for place in range(most - 1)]
    peaks = [max(inner[start:end], key=height) for start, end in pairwise(cuts)]
    return [points[0], *peaks, points[-1]]


def saved_bytes(events: Sequence[AnyEvent]) -> int | None:
    """Size of the largest checkpoint, ``None`` before the first."""
    return max((event.size_bytes for event in events if isinstance(event, Saved)), default=None)
