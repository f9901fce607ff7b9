"""Everything a report says, as one frozen value; the renderings draw it and add nothing.

Fractions stay 0 to 1, times are seconds, moments are seconds since 1970 (UTC). ``record`` is where
a number was read: a path below the workspace, with ``#`` and a place in it.
"""

from yoyak.config.project import Budget
from yoyak.events import RunStatus
from yoyak.metrics.sanity_checks import Alarm
from yoyak.metrics.significance import Verdict
from yoyak.report.model.values import (
    Blended,
    DiskForecast,
    Example,
    Fact,
    Forecast,
    Incident,
    Measured,
    Pair,
    Proof,
    ReportFinding,
    Risk,
    Step,
    SubmissionSummary,
    TimelineSpan,
)
from yoyak.runs.liveness import WorkerHealth
from yoyak.values import Rouge, Value


class Quality(Value, frozen=True, kw_only=True):
    """How good a system's dev summaries are, and by whose definition."""

    rouge1: Measured
    rouge2: Measured
    rougeL: Measured
    mean: Measured
    rows: int
    signature: str
    alarms: tuple[Alarm, ...] = ()
    """Why the score may not be what it claims."""
    record: str

    @property
    def rouge(self) -> Rouge:
        """The three point values."""
        return Rouge(rouge1=self.rouge1.value, rouge2=self.rouge2.value, rougeL=self.rougeL.value)


class Difference(Value, frozen=True, kw_only=True):
    """How a system's ROUGE mean stands to the baseline's on the same rows.

    ``p`` is corrected over the whole comparison.
    """

    baseline: str
    mean: Measured
    p: float | None
    verdict: Verdict


class Cost(Value, frozen=True, kw_only=True):
    """What a system takes; a field is ``None`` where nothing was measured."""

    train_seconds: float | None = None
    decode_seconds_per_100: float | None = None
    peak_vram_gb: float | None = None
    tokens_per_character: float | None = None


class SettingRow(Value, frozen=True, kw_only=True):
    """One setting of a resolved recipe, as it would stand in TOML."""

    key: str
    value: str


class System(Value, frozen=True, kw_only=True):
    """One run as a row of the model table; ``toy`` marks a model from scratch."""

    run: str
    recipe: str
    name: str
    status: RunStatus
    standing: WorkerHealth
    """The status, and of what runs whether it is slow or stuck."""
    toy: bool
    parameters: int | None
    trainable_parameters: int | None
    quantisation: str | None
    licence: str | None
    quality: Quality | None
    difference: Difference | None
    tied_with_best: bool | None
    """Whether the rows cannot tell it from the best model; ``None`` for what did not learn."""
    on_front: bool | None = None
    """Whether no other model is at least as good in every respect; ``None`` where not judged."""
    cost: Cost
    step: int
    stage: str | None
    started_at: float | None
    ended_at: float | None
    settings: tuple[SettingRow, ...]
    record: str


class Floor(Value, frozen=True, kw_only=True):
    """A score that needs no model: ``constant`` sentence, or ``unrelated`` summaries."""

    name: str
    rouge: Rouge
    signature: str
    record: str


class RunProgress(Value, frozen=True, kw_only=True):
    """Where a run that is not finished stands."""

    run: str
    name: str
    status: RunStatus
    stage: str | None
    done: int
    of: int | None
    unit: str
    """``step`` or ``row``."""
    epoch: float | None
    rows_seen: int | None
    rows: int | None
    seconds_per_unit: float | None
    loss: float | None
    grad_norm: float | None
    learning_rate: float | None
    forecast: Forecast | None
    last_at: float | None
    record: str


class Curve(Value, frozen=True, kw_only=True):
    """What was measured along a run's training, thinned for drawing."""

    run: str
    name: str
    steps: tuple[int, ...]
    losses: tuple[float, ...]
    grad_norms: tuple[float, ...]
    learning_rates: tuple[float, ...]
    evaluated_epochs: tuple[float, ...]
    evaluated_means: tuple[float, ...]
    evaluated_losses: tuple[float | None, ...]
    """Per token of the reference summaries; ``None`` where an evaluation did not measure it."""
    sampled_at: tuple[float, ...] = ()
    disk_used_gb: tuple[float | None, ...] = ()
    vram_used_gb: tuple[float | None, ...] = ()
    summary_lengths: tuple[int, ...] = ()
    """Characters of each dev summary."""


class Tiles(Value, frozen=True, kw_only=True):
    """The four answers that are looked for first."""

    done: int
    total: int
    best: str | None
    best_mean: Measured | None
    left: Forecast | None
    """Of everything that is to come and has a pace."""
    without_pace: int = 0
    """Runs to come whose time nobody knows yet."""
    disk_free_gb: float | None
    disk_total_gb: float | None
    vram_free_gb: float | None
    vram_total_gb: float | None


class Report(Value, frozen=True, kw_only=True):
    """The whole report."""

    title: str
    workspace: str
    written_at: float
    events: int
    last_event_at: float | None
    tiles: Tiles
    systems: tuple[System, ...]
    floors: tuple[Floor, ...] = ()
    baseline: str | None = None
    budget: Budget = Budget()
    progress: tuple[RunProgress, ...] = ()
    curves: tuple[Curve, ...] = ()
    proofs: tuple[Proof, ...] = ()
    incidents: tuple[Incident, ...] = ()
    risks: tuple[Risk, ...] = ()
    disk: DiskForecast | None = None
    timeline: tuple[TimelineSpan, ...] = ()
    next_steps: tuple[Step, ...] = ()
    pairs: tuple[Pair, ...] = ()
    blended: Blended | None = None
    examples: tuple[Example, ...] = ()
    submissions: tuple[SubmissionSummary, ...] = ()
    provenance: tuple[Fact, ...] = ()
    findings: tuple[ReportFinding, ...] = ()

    @property
    def scored(self) -> tuple[tuple[System, Quality], ...]:
        """The systems that are judged, with their scores, in the order of the line-up."""
        return tuple((one, one.quality) for one in self.systems if one.quality is not None)
