"""History of a run in the order of its log: incidents, timeline, curves, progress."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple, TypeVar

import msgspec

from yoyak.config.schema import Recipe
from yoyak.events import (
    AlignStep,
    AnyEvent,
    Evaluated,
    Event,
    Failed,
    Finished,
    PredictionProgress,
    RunState,
    RunStatus,
    Started,
    Stopped,
    SystemMetrics,
    TrainStep,
    Warned,
)
from yoyak.report.model.forecast import RECENT_STEPS, Pace, generation_left, pace_of, run_left
from yoyak.report.model.report import (
    Basis,
    Curve,
    Difference,
    Forecast,
    Incident,
    Quality,
    RunProgress,
    Sentence,
    TimelineSpan,
)

POINTS = 200
"""Maximum number of points of a curve; more are indistinguishable on a screen."""

THROUGHPUT_STEPS = 20
"""Number of newest steps that the tokens per second are measured over."""

Point = TypeVar("Point")
Kind = TypeVar("Kind", bound=Event)


class _Fields(NamedTuple):
    id: str
    folder: str
    recipe: Recipe
    events: tuple[AnyEvent, ...]
    status: RunStatus
    quality: Quality | None = None
    second: Quality | None = None
    difference: Difference | None = None
    state: RunState | None = None
    """The folded events, where the caller has folded them already."""
    tied_with_best: bool | None = None
    decode_seconds_per_100: float | None = None
    tokens_per_character: float | None = None
    summary_lengths: tuple[int, ...] = ()
    label: str | None = None
    data: str = ""
    """Name of the data folder."""
    dev_sha256: str = ""
    """Fingerprint of its dev split."""
    whole: bool = True
    """Whether ``events`` is the whole log; otherwise a selection, without line addresses."""
    damaged: bool = False
    """Whether lines of the log were skipped, so that event positions are not line numbers."""


class RunHistory(_Fields):
    """Records of one run in the workspace; ``status`` takes the run's lock into account."""

    @cached_property
    def steps(self) -> list[TrainStep]:
        """Steps in the order of the log, including repeated ones."""
        return [event for event in self.events if type(event) is TrainStep]

    @cached_property
    def latest(self) -> list[TrainStep]:
        """Each step once; a repeated step with its last values."""
        return list({event.step: event for event in self.steps}.values())

    @cached_property
    def others(self) -> list[tuple[int, AnyEvent]]:
        """All events other than steps, with their positions; few compared with the steps."""
        return [
            (place, event)
            for place, event in enumerate(self.events)
            if type(event) is not TrainStep
        ]

    def of(self, kind: type[Kind]) -> list[tuple[int, Kind]]:
        """Return the events of one kind with their positions; for steps, use ``steps``."""
        return [(place, event) for place, event in self.others if isinstance(event, kind)]

    @property
    def name(self) -> str:
        """Display name: the recipe, or a unique label where several runs share the recipe."""
        return self.label or self.recipe.name

    @property
    def log(self) -> str:
        """Address of the whole log."""
        return f"{self.folder}/events.jsonl"

    def at(self, index: int) -> str:
        """Return the address of the event at ``index``."""
        return f"{self.log}#L{index + 1}" if self.whole and not self.damaged else self.log


def progress(run: RunHistory, state: RunState) -> RunProgress:
    """Return the progress of the run within its current stage."""
    others = [event for _, event in run.others]
    pace = pace_of((*run.steps[-RECENT_STEPS:], *others))
    left = _forecast(others, state, pace)
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
        tokens_per_second=None if generated else _tokens_per_second(run),
        loss=last.loss if last else None,
        grad_norm=last.grad_norm if last else None,
        learning_rate=last.learning_rate if last else None,
        forecast=left,
        total=run_left(state, left, pace),
        last_at=state.last_at,
        record=run.at(len(run.events) - 1) if run.events else run.log,
    )


def _tokens_per_second(run: RunHistory) -> float | None:
    """Return the throughput of the newest steps of supervised or metric-aware training."""
    aligned = [event for _, event in run.of(AlignStep)]
    newest: Sequence[TrainStep | AlignStep] = (aligned or run.steps)[-THROUGHPUT_STEPS:]
    seconds = sum(step.seconds for step in newest)
    return sum(step.tokens for step in newest) / seconds if seconds > 0 else None


def _forecast(others: Sequence[AnyEvent], state: RunState, pace: Pace) -> Forecast | None:
    """Return the time left at the run's own pace; before it has one, the planned time."""
    if state.prediction:
        return generation_left(last_generation(others))
    return pace.forecast or expected(state)


def expected(state: RunState) -> Forecast | None:
    """Return the planned time of a queued run, if the plan has an estimate."""
    plan = state.planned
    if state.status is not RunStatus.QUEUED or plan is None:
        return None
    if plan.low_seconds is None or plan.high_seconds is None:
        return None
    return Forecast(p50_seconds=plan.low_seconds, p90_seconds=plan.high_seconds)


def last_generation(events: Sequence[AnyEvent]) -> list[PredictionProgress]:
    """Return the events of the current generation, or of the last one."""
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
    """Yield every interruption, stop, failure and warning, with the number of repeated steps."""
    ended = True
    for before, (index, event) in enumerate(run.others):
        stepped = index - before  # number of steps before this event
        step = run.steps[stepped - 1].step if stepped else 0
        if isinstance(event, Started):
            if not ended:
                lost = _lost(run.steps[stepped : stepped + 1], step)
                at = step if run.whole else None
                yield _incident(run, index, step, _resumed(at), lost)
            ended = False
        elif isinstance(event, Finished):
            ended = True
        elif isinstance(event, Stopped | Failed | Warned):
            ended = ended or not isinstance(event, Warned)
            yield _incident(run, index, step, _reported(event), None)
    if run.status is RunStatus.INTERRUPTED:
        yield _incident(run, len(run.events) - 1, state.step, _cut_off(state), None)


def _reported(event: Stopped | Failed | Warned) -> Sentence:
    match event:
        case Stopped():
            fields = {"step": str(event.step), "reason": event.reason}
            return Sentence(key="report.incident-stopped", fields=fields)
        case Failed():
            return Sentence(key="report.incident-failed", fields={"problem": event.said})
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


def _resumed(step: int | None) -> Sentence:
    """Return the sentence; without a step where the log was not read as a whole."""
    if step is None:
        return Sentence(key="report.incident-resumed-somewhere")
    return Sentence(key="report.incident-resumed", fields={"step": str(step)})


def _lost(following: Sequence[TrainStep], step: int) -> int | None:
    """Return how many steps a restart had to repeat; ``None`` until its first step."""
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
    """Yield a span for every attempt, from its start to its last event."""
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


def curves(run: RunHistory) -> Iterator[Curve]:
    """Yield the curves of training and, where there is one, of the ``align`` stage.

    A repeated step counts with its last values. What was sampled of the machine, and the lengths of
    the summaries, stand with the first.
    """
    steps = thinned(run.latest, lambda event: event.grad_norm)
    sampled = thinned(
        [event for _, event in run.of(SystemMetrics)],
        lambda event: event.vram_used_gb or event.disk_used_gb or 0.0,
    )
    trained = _curve(run, "train", steps)
    yield msgspec.structs.replace(
        trained,
        sampled_at=tuple(event.at for event in sampled),
        disk_used_gb=tuple(event.disk_used_gb for event in sampled),
        vram_used_gb=tuple(event.vram_used_gb for event in sampled),
        ram_used_gb=tuple(event.ram_used_gb for event in sampled),
        summary_lengths=run.summary_lengths,
    )
    latest = {event.step: event for _, event in run.of(AlignStep)}
    aligning = thinned(list(latest.values()), lambda event: event.grad_norm)
    aligned = _curve(run, "align", aligning)
    if aligning or aligned.evaluated_epochs:
        yield msgspec.structs.replace(
            aligned,
            rewards=tuple(event.reward for event in aligning),
            kls=tuple(event.kl for event in aligning),
        )


def _curve(run: RunHistory, stage: str, steps: Sequence[TrainStep] | Sequence[AlignStep]) -> Curve:
    evaluations = [event for _, event in run.of(Evaluated) if event.stage == stage]
    signature = evaluations[-1].signature if evaluations else ""
    by_evaluation = {event.step: event for event in evaluations if event.signature == signature}
    evaluated = thinned(list(by_evaluation.values()), lambda event: event.rouge.mean)
    return Curve(
        run=run.id,
        name=run.name,
        stage=stage,
        steps=tuple(event.step for event in steps),
        losses=tuple(event.loss for event in steps),
        grad_norms=tuple(event.grad_norm for event in steps),
        learning_rates=tuple(event.learning_rate for event in steps),
        tokens_per_second=tuple(
            event.tokens / event.seconds if event.seconds > 0 else None for event in steps
        ),
        evaluated_epochs=tuple(event.epoch for event in evaluated),
        evaluated_means=tuple(event.rouge.mean for event in evaluated),
        evaluated_intervals=tuple(event.interval for event in evaluated),
        evaluated_losses=tuple(event.loss for event in evaluated),
        evaluated_on=Basis(signature=signature, dev_sha256=run.dev_sha256) if evaluations else None,
    )


def thinned(
    points: Sequence[Point], height: Callable[[Point], float], most: int = POINTS
) -> Sequence[Point]:
    """Return at most ``most`` of ``points``: first, last, and the highest of each segment."""
    if len(points) <= most:
        return points
    inner = points[1:-1]
    cuts = [place * len(inner) // (most - 2) for place in range(most - 1)]
    peaks = [max(inner[start:end], key=height) for start, end in pairwise(cuts)]
    return [points[0], *peaks, points[-1]]
