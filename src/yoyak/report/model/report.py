"""The content of a report as one frozen value; renderings add nothing to it.

Fractions are 0 to 1, durations are seconds, timestamps are seconds since 1970 (UTC). ``record`` is
the source of a number: a path below the workspace, with ``#`` and a position in it.
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
    """Scores of a system's dev summaries, with the signature of the scoring protocol."""

    rouge1: Measured
    rouge2: Measured
    rougeL: Measured
    mean: Measured
    rows: int
    signature: str
    alarms: tuple[Alarm, ...] = ()
    """Reasons to doubt the score."""
    record: str

    @property
    def rouge(self) -> Rouge:
        """Point values of the three measures."""
        return Rouge(rouge1=self.rouge1.value, rouge2=self.rouge2.value, rougeL=self.rougeL.value)


class Difference(Value, frozen=True, kw_only=True):
    """Difference of a system's ROUGE mean from the baseline's on the same rows.

    ``p`` is corrected over the whole comparison.
    """

    baseline: str
    mean: Measured
    p: float | None
    verdict: Verdict


class Cost(Value, frozen=True, kw_only=True):
    """Measured costs of a system; a field is ``None`` where nothing was measured."""

    train_seconds: float | None = None
    decode_seconds_per_100: float | None = None
    peak_vram_gb: float | None = None
    tokens_per_character: float | None = None


class SettingRow(Value, frozen=True, kw_only=True):
    """One setting of a resolved recipe, by its TOML key."""

    key: str
    value: str


class System(Value, frozen=True, kw_only=True):
    """One run as a row of the model table; ``toy`` marks a model trained from scratch."""

    run: str
    recipe: str
    name: str
    status: RunStatus
    standing: WorkerHealth
    """The status and, for a running worker, whether it is slow or stuck."""
    toy: bool
    parameters: int | None
    trainable_parameters: int | None
    quantisation: str | None
    licence: str | None
    quality: Quality | None
    difference: Difference | None
    tied_with_best: bool | None
    """Whether it is statistically tied with the best model; ``None`` for untrained systems."""
    on_front: bool | None = None
    """Whether it is on the Pareto front within the budget; ``None`` where not evaluated."""
    cost: Cost
    step: int
    stage: str | None
    started_at: float | None
    ended_at: float | None
    settings: tuple[SettingRow, ...]
    record: str


class Floor(Value, frozen=True, kw_only=True):
    """Score of a trivial baseline: a ``constant`` sentence, or ``unrelated`` summaries."""

    name: str
    rouge: Rouge
    signature: str
    record: str


class RunProgress(Value, frozen=True, kw_only=True):
    """Progress of an unfinished run."""

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
    """Measurements along a run's training, thinned for drawing."""

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
    """Headline figures: runs done, best system, time left, free disk and VRAM."""

    done: int
    total: int
    best: str | None
    best_mean: Measured | None
    left: Forecast | None
    """Time until all pending runs with a forecast have ended."""
    without_pace: int = 0
    """Pending runs without a forecast."""
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
        """Scored systems with their scores, in the order of ``systems``."""
        return tuple((one, one.quality) for one in self.systems if one.quality is not None)
