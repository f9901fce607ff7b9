"""The content of a report as one frozen value; renderings add nothing to it.

Fractions are 0 to 1, durations are seconds, timestamps are seconds since 1970 (UTC). ``record`` is
the source of a number: a path below the workspace, with ``#`` and a position in it.
"""

from collections.abc import Mapping

from msgspec import field

from yoyak import messages
from yoyak.config.project import Budget
from yoyak.ensemble.gain import Gain
from yoyak.errors import YoyakError
from yoyak.events import CheckResult, DataFinding, RunStatus
from yoyak.metrics.diagnostics.copied_text import CopiedRun
from yoyak.metrics.diagnostics.error_types import ErrorType
from yoyak.metrics.diagnostics.slices import Slice
from yoyak.metrics.rater_agreement import Preference
from yoyak.metrics.sanity_checks import Alarm
from yoyak.metrics.selection_bias import ChanceGain
from yoyak.metrics.significance import Verdict
from yoyak.runs.liveness import WorkerHealth
from yoyak.runs.replicates import SeedNoise
from yoyak.runs.study import StudyKind, StudyVerdict, TrialState
from yoyak.submission.validate import ValidationFault
from yoyak.values import Interval, Rouge, SplitName, Value

TOY = "*"
"""Suffix to the name of a model trained from scratch; the note below the table explains it."""


class Sentence(Value, frozen=True, kw_only=True):
    """A sentence of the message catalogue, with the values of its fields."""

    key: str
    fields: Mapping[str, "str | Sentence"] = field(default_factory=dict)

    @classmethod
    def of(cls, error: YoyakError) -> "Sentence":
        """Return what an error says, in whichever language it is read."""
        return cls(key=error.key, fields={name: str(one) for name, one in error.fields.items()})

    @property
    def text(self) -> str:
        """The sentence in the current language."""
        return messages.recorded(self.key, self.fields)

    def __str__(self) -> str:
        return self.text


class Measured(Value, frozen=True, kw_only=True):
    """A number with its confidence interval, where one was computed."""

    value: float
    interval: Interval | None = None


class Forecast(Value, frozen=True, kw_only=True):
    """Time left, as the median and the 90th percentile."""

    p50_seconds: float
    p90_seconds: float


class Incident(Value, frozen=True, kw_only=True):
    """An unplanned event of a run, such as an interruption, failure or warning."""

    at: float
    run: str
    name: str
    step: int
    what: Sentence
    lost_steps: int | None
    record: str


class TimelineSpan(Value, frozen=True, kw_only=True):
    """A span of the timeline; ``kind`` is ``worked``, ``running`` or ``planned``."""

    run: str
    name: str
    kind: str
    start: float
    end: float
    late_end: float | None = None
    record: str = ""


class Step(Value, frozen=True, kw_only=True):
    """A next step, as the exact command."""

    command: str
    why: Sentence


class Risk(Value, frozen=True, kw_only=True):
    """A risk that can stop the runs; ``level`` is ``ok``, ``watch`` or ``danger``."""

    level: str
    what: Sentence
    record: str


class DiskSpace(Value, frozen=True, kw_only=True):
    """Current space of the workspace's disk."""

    free_gb: float
    used_gb: float
    """As the file system counts it; with reserved blocks, less than total minus free."""
    total_gb: float


class DiskForecast(Value, frozen=True, kw_only=True):
    """Disk use when all runs are done, in five parts; ``left_gb`` may be negative."""

    used_gb: float
    """Used space outside the workspace."""
    workspace_gb: float
    downloads_gb: float
    checkpoints_gb: float
    left_gb: float


class SubmissionSummary(Value, frozen=True, kw_only=True):
    """One written submission."""

    number: str
    system: str
    method: str
    rows: int
    sha256: str
    path: str
    dev_mean: float
    signature: str
    """Protocol of ``dev_mean``."""
    public_score: float | None
    """Leaderboard score, 0 to 1."""
    alarms: tuple[Alarm, ...] = ()
    """Reasons to doubt ``dev_mean``."""
    warnings: tuple[ValidationFault, ...] = ()
    """Non-fatal faults from the submission validation, for review."""
    record: str


class Fact(Value, frozen=True, kw_only=True):
    """One line of provenance: the label (``report.fact-LABEL``) and the value as recorded."""

    label: str
    value: str
    record: str


class Example(Value, frozen=True, kw_only=True):
    """One dialogue of dev with its references and the systems' summaries."""

    id: str
    dialogue: str
    references: tuple[str, ...]
    answers: tuple[tuple[str, str, float | None], ...]
    """System name, summary, ROUGE mean of this row."""
    why: str
    """Reason for the selection; the catalogue key is ``report.example-WHY``."""
    chosen: int | None = None
    """Index in ``answers`` of the blend's choice; ``None`` where no blend is shown."""


class Voter(Value, frozen=True, kw_only=True):
    """A member of a blend."""

    system: str
    decode: str
    votes: float


class Blended(Value, frozen=True, kw_only=True):
    """A submitted blend with example rows of dev; means are 0 to 1."""

    number: str
    method: str
    voters: tuple[Voter, ...]
    components: tuple[float, float, float] | None
    """Weights of R1, R2 and RL."""
    dev: Measured
    held_out: Gain | None
    rows: tuple[Example, ...]
    """Empty where the data or a member is missing."""
    record: str


class ReportFinding(Value, frozen=True, kw_only=True):
    """A statement that the records do not support, found by ``report.model.consistency``."""

    rule: str
    what: Sentence
    record: str


class DataIssue(Value, frozen=True, kw_only=True):
    """A finding of the data audit, as the runs on these data recorded it."""

    data: str
    """Name of the data folder."""
    finding: DataFinding
    record: str


class Pair(Value, frozen=True, kw_only=True):
    """Complementarity of two systems on the rows of dev."""

    one: str
    other: str
    oracle_gain: float
    """Mean of the better answer of each row less the better system's mean; ROUGE mean, 0 to 1."""
    other_better: float
    """Share of the rows on which ``other`` scores higher."""


class CopiedText(Value, frozen=True, kw_only=True):
    """The longest run of words that each summary copies from its dialogue."""

    run: str | None
    """``None``: the references, the first of each row."""
    runs: tuple[CopiedRun, ...]


class Proof(Value, frozen=True, kw_only=True):
    """Checks of a run made before its first step."""

    run: str
    name: str
    checks: tuple[CheckResult, ...]
    record: str


class Floor(Value, frozen=True, kw_only=True):
    """Score of a trivial baseline on the same rows: ``constant``, ``unrelated`` or ``lead``."""

    name: str
    rouge: Rouge
    record: str


class Basis(Value, frozen=True, kw_only=True):
    """What two scores must share to be compared: protocol, and dialogues with their references."""

    signature: str
    dev_sha256: str


class Quality(Value, frozen=True, kw_only=True):
    """Scores of a system's dev summaries, beside those of the trivial baselines."""

    rouge1: Measured
    rouge2: Measured
    rougeL: Measured
    mean: Measured
    rows: int
    basis: Basis
    floors: tuple[Floor, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    """Reasons to doubt the score."""
    faults: dict[ErrorType, int] = {}
    """Rows with each kind of fault."""
    slices: tuple[Slice, ...] = ()
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
    second: Quality | None = None
    """Scores on the second dev set, if the data have one; a group of its own."""
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


class SystemGroup(Value, frozen=True, kw_only=True):
    """Systems with scores on one basis: only they are ranked, drawn, paired or shown together."""

    basis: Basis
    data: str
    """Name of the data folder."""
    runs: tuple[str, ...]
    """Ids of the systems' runs, best mean first."""
    baseline: str | None = None
    """Name of the system that the differences are against."""
    floors: tuple[Floor, ...] = ()
    pairs: tuple[Pair, ...] = ()
    examples: tuple[Example, ...] = ()
    copied: tuple[CopiedText, ...] = ()
    """Of each system whose answers are there, and of the references (run ``None``)."""


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
    tokens_per_second: float | None = None
    """Of the newest training steps; ``None`` outside training."""
    loss: float | None
    grad_norm: float | None
    learning_rate: float | None
    forecast: Forecast | None
    """Of the stage."""
    total: Forecast | None = None
    """Of the whole run, all generation included; ``None`` where a part of it is unknown."""
    last_at: float | None
    record: str


class Curve(Value, frozen=True, kw_only=True):
    """Measurements along one training stage of a run, thinned for drawing."""

    run: str
    name: str
    stage: str = "train"
    """``train`` or ``align`` (metric-aware training), whose steps count from one again."""
    steps: tuple[int, ...]
    losses: tuple[float, ...]
    grad_norms: tuple[float, ...]
    learning_rates: tuple[float, ...]
    tokens_per_second: tuple[float | None, ...] = ()
    rewards: tuple[float, ...] = ()
    """Mean reward of each step's samples; of ``align`` only."""
    kls: tuple[float | None, ...] = ()
    """Divergence from the reference model per token; of ``align`` only."""
    evaluated_epochs: tuple[float, ...]
    evaluated_means: tuple[float, ...]
    evaluated_intervals: tuple[Interval, ...] = ()
    evaluated_losses: tuple[float | None, ...]
    """Per token of the reference summaries; ``None`` where an evaluation did not measure it."""
    evaluated_on: Basis | None = None
    """Basis of the evaluations: unlike the final score's, their decoding is greedy."""
    sampled_at: tuple[float, ...] = ()
    disk_used_gb: tuple[float | None, ...] = ()
    vram_used_gb: tuple[float | None, ...] = ()
    ram_used_gb: tuple[float | None, ...] = ()
    summary_lengths: tuple[int, ...] = ()
    """Characters of each dev summary."""


class PlanCheck(Value, frozen=True, kw_only=True):
    """What the plan expected of a finished run, beside what was measured."""

    run: str
    name: str
    low_seconds: float
    high_seconds: float
    seconds: float
    """Sum of its stages."""
    planned_checkpoint_bytes: float | None
    checkpoint_bytes: float | None
    """The largest checkpoint that was written."""
    record: str


class Tiles(Value, frozen=True, kw_only=True):
    """Headline figures: runs done, best system of the newest group, time left, free resources."""

    done: int
    total: int
    best: str | None
    best_is_toy: bool = False
    best_data: str | None = None
    """Data folder of the best system, where systems were scored on several bases."""
    best_mean: Measured | None
    left: Forecast | None
    """Time until all pending runs with a forecast have ended."""
    without_pace: int = 0
    """Pending runs without a forecast."""
    disk_free_gb: float | None
    disk_used_gb: float | None
    disk_total_gb: float | None
    vram_free_gb: float | None
    vram_total_gb: float | None


class StudyTrial(Value, frozen=True, kw_only=True):
    """One trial as a row; scores are of the selection half."""

    number: int
    label: str
    """Its settings on one line; empty for the recipe as it is."""
    rung: int
    state: TrialState
    mean: Measured | None
    difference: Measured | None
    """From the recipe as it is in the same round, paired by row."""
    best_so_far: float | None
    seconds: float | None
    problem: str
    record: str


class StudySummary(Value, frozen=True, kw_only=True):
    """A study as shown."""

    name: str
    kind: StudyKind
    recipe: str
    planned: int
    """Trials; 0 where rounds decide how many there will be."""
    seeds: int
    selection_rows: int
    judging_rows: int
    trials: tuple[StudyTrial, ...]
    confirmed: int
    """Runs with fresh seeds that are done."""
    chance: tuple[ChanceGain, ...] = ()
    """What the best of the scored trials would gain if all were equal; empty where not computed."""
    verdict: StudyVerdict | None
    winner: str | None
    """Settings of the winner, or of the best so far."""
    seconds: float
    record: str

    def count(self, state: TrialState) -> int:
        """Return how many trials are in that state."""
        return sum(one.state is state for one in self.trials)


class RatedPair(Value, frozen=True, kw_only=True):
    """Two systems whose summaries people rated blindly, by name."""

    data: str
    split: SplitName
    one: str
    other: str
    preference: Preference


class FoldSummary(Value, frozen=True, kw_only=True):
    """The out-of-fold score of one seed of a recipe: of rows of train, so never beside dev's."""

    recipe: str
    seed: int
    folds: int
    rows: int
    rouge: Rouge
    interval: Interval
    basis: Basis


class Report(Value, frozen=True, kw_only=True):
    """The whole report."""

    title: str
    workspace: str
    written_at: float
    events: int
    last_event_at: float | None
    tiles: Tiles
    systems: tuple[System, ...]
    groups: tuple[SystemGroup, ...] = ()
    """The group of the newest scored run first."""
    budget: Budget = Budget()
    progress: tuple[RunProgress, ...] = ()
    curves: tuple[Curve, ...] = ()
    proofs: tuple[Proof, ...] = ()
    data_issues: tuple[DataIssue, ...] = ()
    incidents: tuple[Incident, ...] = ()
    risks: tuple[Risk, ...] = ()
    disk: DiskForecast | None = None
    timeline: tuple[TimelineSpan, ...] = ()
    plan_checks: tuple[PlanCheck, ...] = ()
    next_steps: tuple[Step, ...] = ()
    blended: Blended | None = None
    studies: tuple[StudySummary, ...] = ()
    seeds: tuple[SeedNoise, ...] = ()
    """Trainings that were repeated with other seeds."""
    folds: tuple[FoldSummary, ...] = ()
    ratings: tuple[RatedPair, ...] = ()
    submissions: tuple[SubmissionSummary, ...] = ()
    provenance: tuple[Fact, ...] = ()
    findings: tuple[ReportFinding, ...] = ()

    def __post_init__(self) -> None:
        """Refuse groups that are not exactly the scored systems, each under its own basis."""
        bases = {one.run: one.quality.basis for one in self.systems if one.quality is not None}
        if {run: group.basis for group in self.groups for run in group.runs} != bases:
            raise ValueError("every scored system belongs to the group of its basis")

    @property
    def evaluated(self) -> tuple[tuple[Curve, ...], ...]:
        """The curves with evaluations, those of one stage and one basis together."""
        found: dict[tuple[str, Basis | None], list[Curve]] = {}
        for curve in self.curves:
            if curve.evaluated_epochs:
                found.setdefault((curve.stage, curve.evaluated_on), []).append(curve)
        return tuple(map(tuple, found.values()))

    def ranked(self, group: SystemGroup) -> tuple[tuple[System, Quality], ...]:
        """Return the systems of a group with their scores, best mean first."""
        by_run = {one.run: (one, one.quality) for one in self.systems if one.quality is not None}
        return tuple(by_run[run] for run in group.runs)
