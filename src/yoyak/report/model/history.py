"""What happened to a run in the order of its log: incidents, timeline, curves, progress."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple, TypeVar

from yoyak.config.schema import Recipe
from yoyak.events import (
    AnyEvent,
    Evaluated,
    Event,
    Failed,
    PredictionProgress,
    RunState,
    RunStatus,
    Started,
    Stopped,
    SystemMetrics,
    TrainStep,
    Warned,
)
from yoyak.report.model.eta import RECENT_STEPS, Pace, generation_left, pace_of
from yoyak.report.model.report import Curve, Difference, Quality, RunProgress
from yoyak.report.model.values import Forecast, Incident, Sentence, TimelineSpan

POINTS = 200
"""A curve is drawn with at most this many points; more cannot be told apart on a screen."""

Point = TypeVar("Point")
Kind = TypeVar("Kind", bound=Event)


class _Fields(NamedTuple):
    id: str
    folder: str
    recipe: Recipe
    events: tuple[AnyEvent, ...]
    status: RunStatus
    quality: Quality | None = None
    difference: Difference | None = None
    state: RunState | None = None
    """What the events add up to, where somebody has folded them already."""
    tied_with_best: bool | None = None
    decode_seconds_per_100: float | None = None
    tokens_per_character: float | None = None
    summary_lengths: tuple[int, ...] = ()
    label: str | None = None
    whole: bool = True
    """Whether ``events`` are all of the log; else the telling ones, and no line has an address."""
    damaged: bool = False
    """Whether lines of the log were skipped: an event's place is then no line's number."""


class RunHistory(_Fields):
    """What the workspace holds of one run; ``status`` has the lock's word on alive or dead."""

    @cached_property
    def steps(self) -> list[TrainStep]:
        """The steps in the order of the log, those that were done again included."""
        return [event for event in self.events if type(event) is TrainStep]

    @cached_property
    def latest(self) -> list[TrainStep]:
        """Each step once; one that was lost and done again as it was done last."""
        return list({event.step: event for event in self.steps}.values())

    @cached_property
    def others(self) -> list[tuple[int, AnyEvent]]:
        """Every other event with its place: few, where steps come by the thousand."""
        return [
            (place, event)
            for place, event in enumerate(self.events)
            if type(event) is not TrainStep
        ]

    def of(self, kind: type[Kind]) -> list[tuple[int, Kind]]:
        """The events of one kind with their places; for steps there is ``steps``."""
        return [(place, event) for place, event in self.others if isinstance(event, kind)]

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
        return f"{self.log}#L{index + 1}" if self.whole and not self.damaged else self.log


def progress(run: RunHistory, state: RunState) -> RunProgress:
    """Where the run stands in its stage."""
    others = [event for _, event in run.others]
    pace = pace_of((*run.steps[-RECENT_STEPS:], *others))
    last, prepared, generated = state.last_step, state.prepared, state.prediction
    return RunProgress(
        run=run.id,
        name=run.name,
        status=run.status,
        stage=state.stage,
        done=generated.done if generated else state.step,
        of=generated.of if generated else (prepared.steps if prepared else None),
        unit="row" if generated else "step",
        epoch=last.epoch if last else None,
        rows_seen=sum(step.rows for step in run.latest) if run.whole and run.steps else None,
        rows=prepared.rows if prepared else None,
        seconds_per_unit=None if generated else pace.seconds_per_step,
        loss=last.loss if last else None,
        grad_norm=last.grad_norm if last else None,
        learning_rate=last.learning_rate if last else None,
        forecast=_forecast(others, state, pace),
        last_at=state.last_at,
        record=run.at(len(run.events) - 1) if run.events else run.log,
    )


def _forecast(others: Sequence[AnyEvent], state: RunState, pace: Pace) -> Forecast | None:
    """Return the time left at the run's own pace; before it has one, what the plan recorded."""
    if state.prediction:
        return generation_left(last_generation(others))
    return pace.forecast or expected(state)


def expected(state: RunState) -> Forecast | None:
    """Return what the plan recorded of a run that has not begun, if it could estimate it."""
    plan = state.planned
    if state.status is not RunStatus.QUEUED or plan is None:
        return None
    if plan.low_seconds is None or plan.high_seconds is None:
        return None
    return Forecast(p50_seconds=plan.low_seconds, p90_seconds=plan.high_seconds)


def last_generation(events: Sequence[AnyEvent]) -> list[PredictionProgress]:
    """The events of the generation that is going on, or was last."""
    found: list[PredictionProgress] = []
    for event in events:
        if isinstance(event, PredictionProgress):
            if found and (found[-1].split != event.split or found[-1].done > event.done):
                found = []
            found.append(event)
        elif isinstance(event, Started):
            found = []
    return found


def incidents(run: RunHistory, state: RunState) -> Iterator[Incident]:
    """Every interruption, stop, failure and warning, with the steps that had to be done again."""
    ended = True
    for before, (index, event) in enumerate(run.others):
        stepped = index - before  # whatever stands before it and is not among the others
        step = run.steps[stepped - 1].step if stepped else 0
        if isinstance(event, Started):
            if not ended:
                lost = _lost(run.steps[stepped : stepped + 1], step)
                yield _incident(run, index, step, _resumed(step), lost)
            ended = False
        elif isinstance(event, Stopped | Failed | Warned):
            ended = ended or not isinstance(event, Warned)
            yield _incident(run, index, step, _told(event), None)
    if run.status is RunStatus.INTERRUPTED:
        yield _incident(run, len(run.events) - 1, state.step, _cut_off(state), None)


def _told(event: Stopped | Failed | Warned) -> Sentence:
    match event:
        case Stopped():
            fields = {"step": str(event.step), "reason": event.reason}
            return Sentence(key="report.incident-stopped", fields=fields)
        case Failed():
            return Sentence(key="report.incident-failed", fields={"problem": event.message})
        case Warned():
            return Sentence(key=event.key, fields=event.fields)


def _incident(run: RunHistory, index: int, step: int, what: Sentence, lost: int | None) -> Incident:
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


def _lost(following: Sequence[TrainStep], step: int) -> int | None:
    """How many steps a second start had to do again; unknown until it steps."""
    return max(step - following[0].step + 1, 0) if following else None


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


def spans(run: RunHistory) -> Iterator[TimelineSpan]:
    """Every attempt from its start to its last word."""
    attempts = _attempts(run)
    for number, attempt in enumerate(attempts, 1):
        alive = number == len(attempts) and run.status is RunStatus.RUNNING
        yield TimelineSpan(
            run=run.id,
            name=run.name,
            kind="running" if alive else "worked",
            start=attempt.start,
            end=attempt.end,
            record=run.at(attempt.first),
        )


def _attempts(run: RunHistory) -> list[_Attempt]:
    starts = [index for index, _ in run.of(Started)]
    return [
        _Attempt(run.events[index].at, run.events[following - 1].at, index)
        for index, following in pairwise([*starts, len(run.events)])
    ]


def curve(run: RunHistory) -> Curve:
    """What was measured along training; a step that was done again counts with its last value."""
    steps = thinned(run.latest, lambda event: event.grad_norm)
    sampled = thinned(
        [event for _, event in run.of(SystemMetrics)],
        lambda event: event.vram_used_gb or event.disk_used_gb or 0.0,
    )
    by_evaluation = {event.step: event for _, event in run.of(Evaluated)}
    evaluated = thinned(list(by_evaluation.values()), lambda event: event.rouge.mean)
    return Curve(
        run=run.id,
        name=run.name,
        steps=tuple(event.step for event in steps),
        losses=tuple(event.loss for event in steps),
        grad_norms=tuple(event.grad_norm for event in steps),
        learning_rates=tuple(event.learning_rate for event in steps),
        evaluated_epochs=tuple(event.epoch for event in evaluated),
        evaluated_means=tuple(event.rouge.mean for event in evaluated),
        evaluated_losses=tuple(event.loss for event in evaluated),
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
