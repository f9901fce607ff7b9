"""The events of a run as one tagged union, their JSON lines, and the state they add up to.

``RunState`` is ``fold(events)`` and nothing else. ``at`` is wall-clock time in seconds since 1970
(UTC) and only ever displayed; every duration is measured on a monotonic clock and stored in the
event that ends it.

Logs of other versions are read as well: former tags are translated, unknown fields are ignored,
unknown events are left out by ``decode_event`` and counted by its callers.
"""

import math
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from yoyak import messages
from yoyak.errors import YoyakError
from yoyak.values import DevMetric, Interval, Rouge, Severity

Moment = Annotated[float, Meta(ge=0, le=32_503_680_000)]
"""Seconds since 1970, up to the year 3000; far larger values cannot be formatted as dates."""

FORMER_TAGS = {
    "proved": "preflight_passed",
    "compared": "backend_parity_checked",
    "stepped": "train_step",
    "saved": "checkpoint_saved",
    "generated": "prediction_progress",
    "sampled": "system_metrics",
}
"""Tags of format 1, and the same events' tags now."""


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """Base of all events."""

    at: Moment


class Queued(Event, frozen=True, kw_only=True, tag="queued"):
    """The run was created; ``format`` is that of its event log."""

    recipe: str
    format: int = 1


class Planned(Event, frozen=True, kw_only=True, tag="planned"):
    """What the plan expects of a run that has not begun; ``None`` where it cannot be estimated."""

    low_seconds: float | None = None
    high_seconds: float | None = None
    download_bytes: float | None = None
    """Download size of the base model; 0 if it is on this machine."""
    checkpoint_bytes: float | None = None
    generated_rows: dict[str, int] = {}
    """Rows that each stage of prediction answers, in order; empty: not recorded."""
    num_beams: int = 1
    aligns: bool = False
    """Whether metric-aware training follows the supervised one."""


class Started(Event, frozen=True, kw_only=True, tag="started"):
    """A worker started; a second one in the same log means that the first was interrupted."""

    pid: int
    host: str
    attempt: int


class StageStarted(Event, frozen=True, kw_only=True, tag="stage_started"):
    """A stage started (a stage that is already done emits nothing)."""

    stage: str


class StageDone(Event, frozen=True, kw_only=True, tag="stage_done"):
    """A stage is done for the inputs whose hash is ``fingerprint``.

    ``inputs`` has the hash of each input by name, ``output_sha256`` that of the file it wrote.
    """

    stage: str
    fingerprint: str
    seconds: float
    inputs: dict[str, str] = {}
    output_sha256: str | None = None


class MessageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it is recorded, to be read in any language; fields may be messages themselves.

    ``key`` and ``fields`` are those of the message catalogue.
    """

    key: str
    fields: dict[str, "str | MessageRecord | list[MessageRecord]"] = {}

    @classmethod
    def of(cls, error: YoyakError) -> "MessageRecord":
        """Return the record of what an error says."""
        fields = {name: _recorded_field(value) for name, value in error.fields.items()}
        return cls(key=error.key, fields=fields)

    def __str__(self) -> str:
        """Return the message in the language in use."""
        return messages.recorded(self.key, {name: _said(one) for name, one in self.fields.items()})

    def redacted(self, redact: Callable[[str], str]) -> "MessageRecord":
        """Return the record with every text in it passed through ``redact``."""
        fields: dict[str, str | MessageRecord | list[MessageRecord]] = {}
        for name, value in self.fields.items():
            if isinstance(value, str):
                fields[name] = redact(value)
            elif isinstance(value, list):
                fields[name] = [one.redacted(redact) for one in value]
            else:
                fields[name] = value.redacted(redact)
        return msgspec.structs.replace(self, fields=fields)


class MessageList(list[MessageRecord]):
    """Messages that read as one text."""

    def __str__(self) -> str:
        """Return the messages in the language in use, one after the other."""
        return _said(self)


def _recorded_field(value: object) -> str | MessageRecord | list[MessageRecord]:
    if isinstance(value, YoyakError):
        return MessageRecord.of(value)
    return value if isinstance(value, MessageRecord | MessageList) else str(value)


def _said(value: str | MessageRecord | list[MessageRecord]) -> str:
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one preflight check; ``key`` and ``fields`` are a message."""

    name: str
    passed: bool
    key: str
    fields: dict[str, str] = {}

    @property
    def found(self) -> str:
        """The result in the reader's language."""
        return messages.recorded(self.key, self.fields)


class DataFinding(msgspec.Struct, frozen=True, kw_only=True):
    """One finding of the data audit; ``key`` and ``fields`` are a message.

    ``name`` is the kind of finding (``leak``, ``one-summary``); an ``error`` stops training unless
    it is allowed. ``splits`` are those concerned, ``rows`` counts the rows, ``ids`` are the first
    ten of them.
    """

    name: str
    severity: Severity
    key: str
    fields: dict[str, str] = {}
    splits: tuple[str, ...] = ()
    rows: int = 0
    ids: tuple[str, ...] = ()

    @property
    def found(self) -> str:
        """The finding in the reader's language."""
        return messages.recorded(self.key, self.fields)


class DataAudited(Event, frozen=True, kw_only=True, tag="data_audited"):
    """The findings of the data audit before a worker started; empty where there are none.

    ``allowed`` are the names of errors that training went on in spite of.
    """

    findings: tuple[DataFinding, ...]
    allowed: tuple[str, ...] = ()


class PreflightCheck(Event, frozen=True, kw_only=True, tag="preflight_check"):
    """One preflight check is done; on a large model some take a minute."""

    check: CheckResult


class PreflightPassed(Event, frozen=True, kw_only=True, tag="preflight_passed"):
    """The results of the preflight checks before the first step."""

    checks: tuple[CheckResult, ...]


class BackendParityChecked(Event, frozen=True, kw_only=True, tag="backend_parity_checked"):
    """An inference backend was compared with the trained one; one that failed is not used."""

    check: CheckResult


class Prepared(Event, frozen=True, kw_only=True, tag="prepared"):
    """The training schedule, counted and not estimated."""

    rows: int
    rows_shortened: int
    steps: int
    steps_per_epoch: int
    tokens_per_epoch: int
    supervised_tokens_per_epoch: int
    parameters: int
    trainable_parameters: int


class TrainStep(Event, frozen=True, kw_only=True, tag="train_step", gc=False):
    """One optimizer step. ``loss`` is per supervised token; ``grad_norm`` is before clipping."""

    step: int
    epoch: float
    loss: float
    learning_rate: float
    grad_norm: float
    tokens: int
    supervised_tokens: int
    rows: int
    seconds: float
    clipped: bool = False


class Evaluated(Event, frozen=True, kw_only=True, tag="evaluated"):
    """Dev summaries were generated and scored during training.

    ``best`` by ``metric`` so far, step 0 left out; ``beats_start`` says whether it is better than
    step 0, ``None`` where that is unknown. ``loss`` is per token of the reference summaries of the
    same rows. ``averaged``: of the weights' moving average at that step.
    """

    step: int
    epoch: float
    rouge: Rouge
    interval: Interval
    rows: int
    signature: str
    seconds: float
    best: bool
    metric: DevMetric = DevMetric.ROUGE_MEAN
    loss: float | None = None
    loss_interval: Interval | None = None
    beats_start: bool | None = None
    averaged: bool = False
    stage: str = "train"


class AlignStep(Event, frozen=True, kw_only=True, tag="align_step", gc=False):
    """One step of metric-aware training.

    ``loss`` is that of the method, ``reward`` the mean over samples, ``reward_spread`` the mean
    standard deviation within a group; ``kl`` is per token, ``None`` without a reference model.
    Sampling took ``sampled_seconds`` of ``seconds``, and the step waited for rewards
    ``waited_seconds`` of them.
    """

    step: int
    epoch: float
    loss: float
    reward: float
    reward_spread: float
    kl: float | None
    learning_rate: float
    grad_norm: float
    groups: int
    tokens: int
    seconds: float
    sampled_seconds: float
    waited_seconds: float


class RewardWatched(Event, frozen=True, kw_only=True, tag="reward_watched"):
    """An evaluation of metric-aware training was watched for reward hacking.

    Changes are those since before the first step, fractions; ``outside`` is the share of summaries
    beyond the references' range, by trait, and ``outside_start`` what it was then.
    """

    step: int
    rows: int
    optimised_change: float
    characters_change: float
    characters_error: float
    outside: dict[str, float]
    outside_start: dict[str, float]
    alarms: tuple[str, ...]


class CheckpointSaved(Event, frozen=True, kw_only=True, tag="checkpoint_saved"):
    """A checkpoint was written and renamed into place."""

    step: int
    name: str
    size_bytes: int
    seconds: float


class PredictionProgress(Event, frozen=True, kw_only=True, tag="prediction_progress"):
    """Predictions of ``done`` of ``of`` rows of ``split`` are stored."""

    split: str
    done: int
    of: int
    seconds: float


class Scored(Event, frozen=True, kw_only=True, tag="scored"):
    """The stored predictions of dev or dev2 were scored."""

    split: str
    rouge: Rouge
    interval: Interval
    rows: int
    signature: str


class SystemMetrics(Event, frozen=True, kw_only=True, tag="system_metrics"):
    """Use of disk, RAM and GPU memory; ``None`` where it could not be measured."""

    disk_free_gb: float | None = None
    disk_used_gb: float | None = None
    vram_used_gb: float | None = None
    vram_total_gb: float | None = None
    ram_used_gb: float | None = None


class Warned(Event, frozen=True, kw_only=True, tag="warned"):
    """A warning to show; ``key`` and ``fields`` are a message."""

    key: str
    fields: dict[str, str] = {}


class Stopped(Event, frozen=True, kw_only=True, tag="stopped"):
    """The run stopped on request, with everything saved."""

    step: int
    reason: str


class Failed(Event, frozen=True, kw_only=True, tag="failed"):
    """The run ended without a result."""

    kind: str
    message: str
    """The reason in the language of the writer, for what is no message of ours."""
    trace: str = ""
    reason: MessageRecord | None = None

    @property
    def said(self) -> str:
        """The reason in the language in use, as far as it was recorded so."""
        return self.message if self.reason is None else str(self.reason)


class Finished(Event, frozen=True, kw_only=True, tag="finished"):
    """Every stage is done."""

    seconds: float


AnyEvent = (
    Queued
    | Planned
    | Started
    | StageStarted
    | StageDone
    | DataAudited
    | PreflightCheck
    | PreflightPassed
    | BackendParityChecked
    | Prepared
    | TrainStep
    | Evaluated
    | AlignStep
    | RewardWatched
    | CheckpointSaved
    | PredictionProgress
    | Scored
    | SystemMetrics
    | Warned
    | Stopped
    | Failed
    | Finished
)
"""Every event a log can hold."""

_DECODER: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(
    AnyEvent, strict=False
)  # "nan" and "inf" are read as numbers
_TAGS = {kind.__struct_config__.tag for kind in AnyEvent.__args__}


def tags_of(kind: type[Event]) -> tuple[str, ...]:
    """Return the tags under which ``kind`` stands in logs of any format, the current one first."""
    tag = str(kind.__struct_config__.tag)
    return (tag, *(former for former, now in FORMER_TAGS.items() if now == tag))


def encode_event(event: AnyEvent) -> bytes:
    """Encode as one line of JSON without its newline.

    JSON has no NaN or infinity: they are written as the strings ``"nan"``, ``"inf"``, ``"-inf"``.
    """
    line = msgspec.json.encode(event)
    if b"null" not in line:  # msgspec writes a number that is not finite as null
        return line
    return msgspec.json.encode(_with_named_numbers(msgspec.to_builtins(event)))


def _with_named_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_named_numbers(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_named_numbers(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def decode_event(line: bytes) -> AnyEvent | None:
    """Decode one line of an event log of any format; ``None`` for an event that is not known.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError: the line is damaged.
    """
    try:
        return _DECODER.decode(line)
    except msgspec.ValidationError:
        record = msgspec.json.decode(line)
        tag = record.get("event") if isinstance(record, dict) else None
        if not isinstance(tag, str):
            raise
        if tag in FORMER_TAGS:
            current = msgspec.json.encode(record | {"event": FORMER_TAGS[tag]})
            return _DECODER.decode(current)
        if tag not in _TAGS:
            return None
        raise


class RunStatus(StrEnum):
    """The status of a run by its log; the lock shows whether a ``RUNNING`` one is alive."""

    QUEUED = "queued"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    STOPPED = "stopped"
    FAILED = "failed"
    FINISHED = "finished"


class RunState(msgspec.Struct, frozen=True, kw_only=True):
    """The fold of a log; a field is ``None`` until an event has set it."""

    status: RunStatus = RunStatus.QUEUED
    recipe: str = ""
    stage: str | None = None
    attempts: int = 0
    planned: Planned | None = None
    prepared: Prepared | None = None
    audit: DataAudited | None = None
    preflight: PreflightPassed | None = None
    step: int = 0
    last_step: TrainStep | None = None
    best: Evaluated | None = None
    watched: RewardWatched | None = None
    """Of the evaluation in metric-aware training whose weights are kept."""
    last_saved: CheckpointSaved | None = None
    prediction: PredictionProgress | None = None
    scored: Scored | None = None
    done: dict[str, str] = {}
    """Stage name to the fingerprint of the inputs it is done for."""
    records: dict[str, StageDone] = {}
    """Stage name to its ``StageDone``; absent while a restarted stage is running."""
    stage_seconds: dict[str, float] = {}
    warnings: tuple[Warned, ...] = ()
    failed: Failed | None = None
    started_at: float | None = None
    last_at: float | None = None


def fold(events: Iterable[AnyEvent], start: RunState | None = None) -> RunState:
    """Fold ``events`` into a state, starting from ``start``."""
    state = start or RunState()
    last_step: TrainStep | None = None  # there are thousands of steps; only the last counts
    for event in events:
        if type(event) is TrainStep:
            last_step = event
            continue
        if last_step is not None:
            state, last_step = _after(state, last_step), None
        state = _after(state, event)
    return state if last_step is None else _after(state, last_step)


def _after(state: RunState, event: AnyEvent) -> RunState:
    return msgspec.structs.replace(state, last_at=event.at, **_change(state, event))


def _merged(before: PreflightPassed | None, after: PreflightPassed) -> PreflightPassed:
    """Return the results of both; those of a check that was repeated are the later ones."""
    repeated = {check.name for check in after.checks}
    kept = [check for check in (before.checks if before else ()) if check.name not in repeated]
    return msgspec.structs.replace(after, checks=(*kept, *after.checks))


def _change(state: RunState, event: AnyEvent) -> dict[str, object]:  # noqa: C901, PLR0911, PLR0912
    # One case per event: a table of what each event changes.
    match event:
        case Queued():
            return {"recipe": event.recipe}
        case Planned():
            return {"planned": event}
        case Started():
            started_at = event.at if state.started_at is None else state.started_at
            return {
                "status": RunStatus.RUNNING,
                "attempts": state.attempts + 1,
                "started_at": started_at,
                "failed": None,
            }
        case StageStarted():
            records = {name: one for name, one in state.records.items() if name != event.stage}
            return {"stage": event.stage, "prediction": None, "records": records}
        case StageDone():
            spent = state.stage_seconds.get(event.stage, 0.0) + event.seconds
            return {
                "done": state.done | {event.stage: event.fingerprint},
                "records": state.records | {event.stage: event},
                "stage_seconds": state.stage_seconds | {event.stage: spent},
            }
        case Prepared():
            return {"prepared": event}
        case DataAudited():
            return {"audit": event}
        case PreflightPassed():
            return {"preflight": _merged(state.preflight, event)}
        case TrainStep():
            return {"step": event.step, "last_step": event}
        case AlignStep():
            return {"step": event.step, "prediction": None}
        case RewardWatched():
            is_best = state.best is not None and state.best.step == event.step
            return {"watched": event} if is_best else {}
        case Evaluated():
            return {"best": event} if event.best else {}
        case CheckpointSaved():
            return {"last_saved": event}
        case PredictionProgress():
            return {"prediction": event}
        case Scored():
            return {"scored": event} if event.split == "dev" else {}
        case Warned():
            return {"warnings": (*state.warnings, event)}
        case Stopped():
            return {"status": RunStatus.STOPPED}
        case Failed():
            return {"status": RunStatus.FAILED, "failed": event}
        case Finished():
            return {"status": RunStatus.FINISHED, "stage": None}
        case SystemMetrics() | PreflightCheck() | BackendParityChecked():
            return {}
