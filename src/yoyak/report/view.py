"""Everything a report says, as one frozen value; the renderings draw it and add nothing.

Fractions stay 0 to 1, times are seconds, moments are seconds since 1970 (UTC). ``record`` is where
a number was read: a path below the workspace, with ``#`` and a place in it.
"""

from msgspec import field

from yoyak import messages
from yoyak.events import Status
from yoyak.score.compare import Verdict
from yoyak.values import Interval, Rouge, Value


class Sentence(Value, frozen=True, kw_only=True):
    """A sentence of the catalogue, spoken in the language of the reader."""

    key: str
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The sentence in the language that is being spoken."""
        return messages.fill(self.key, self.fields)


class Measured(Value, frozen=True, kw_only=True):
    """A number with the interval it is known to, where one was computed."""

    value: float
    interval: Interval | None = None


class Quality(Value, frozen=True, kw_only=True):
    """How good a system's dev summaries are, and by whose definition."""

    rouge1: Measured
    rouge2: Measured
    rougeL: Measured
    mean: Measured
    rows: int
    signature: str
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


class Setting(Value, frozen=True, kw_only=True):
    """One setting of a resolved recipe, as it would stand in TOML."""

    key: str
    value: str


class System(Value, frozen=True, kw_only=True):
    """One run as a row of the model table; ``toy`` marks a model from scratch."""

    run: str
    recipe: str
    name: str
    status: Status
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
    settings: tuple[Setting, ...]
    record: str


class Floor(Value, frozen=True, kw_only=True):
    """A score that needs no model: ``constant`` sentence, or ``unrelated`` summaries."""

    name: str
    rouge: Rouge
    signature: str
    record: str


class Forecast(Value, frozen=True, kw_only=True):
    """Time left, as the median and the 90th percentile of what the run's own pace allows."""

    p50_seconds: float
    p90_seconds: float

    def later(self, seconds: float, slow_seconds: float) -> "Forecast":
        """The forecast of work that comes after this."""
        return Forecast(
            p50_seconds=self.p50_seconds + seconds, p90_seconds=self.p90_seconds + slow_seconds
        )


class Progress(Value, frozen=True, kw_only=True):
    """Where a run that is not finished stands."""

    run: str
    name: str
    status: Status
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
    sampled_at: tuple[float, ...] = ()
    disk_used_gb: tuple[float | None, ...] = ()
    vram_used_gb: tuple[float | None, ...] = ()
    summary_lengths: tuple[int, ...] = ()
    """Characters of each dev summary."""


class Incident(Value, frozen=True, kw_only=True):
    """Something that went otherwise than planned, and what was done."""

    at: float
    run: str
    name: str
    step: int
    what: Sentence
    lost_steps: int | None
    record: str


class Span(Value, frozen=True, kw_only=True):
    """A stretch of the timeline; ``kind`` is ``worked``, ``running`` or ``planned``."""

    run: str
    name: str
    kind: str
    start: float
    end: float
    late_end: float | None = None
    record: str = ""


class Step(Value, frozen=True, kw_only=True):
    """Something to do next, as the exact command."""

    command: str
    why: Sentence


class Risk(Value, frozen=True, kw_only=True):
    """One thing that can stop the work; ``level`` is ``ok``, ``watch`` or ``danger``."""

    level: str
    what: Sentence
    record: str


class HandedIn(Value, frozen=True, kw_only=True):
    """One written submission."""

    number: str
    system: str
    method: str
    rows: int
    sha256: str
    path: str
    dev_mean: float
    public_score: float | None
    """What the leaderboard said, 0 to 1."""
    record: str


class Fact(Value, frozen=True, kw_only=True):
    """One line of provenance: ``report.fact-LABEL``, and the value as recorded."""

    label: str
    value: str
    record: str


class Example(Value, frozen=True, kw_only=True):
    """One dialogue of dev with its reference and what the systems said."""

    id: str
    dialogue: str
    references: tuple[str, ...]
    answers: tuple[tuple[str, str, float | None], ...]
    """System name, summary, ROUGE mean of this row."""
    why: str
    """``worst``, ``best`` or ``unlike``."""


class Finding(Value, frozen=True, kw_only=True):
    """Something that the records do not support; found by ``report.lint``."""

    rule: str
    what: Sentence
    record: str


class Tiles(Value, frozen=True, kw_only=True):
    """The four answers that are looked for first."""

    done: int
    total: int
    best: str | None
    best_mean: Measured | None
    left: Forecast | None
    disk_free_gb: float | None
    disk_total_gb: float | None
    vram_free_gb: float | None
    vram_total_gb: float | None


class View(Value, frozen=True, kw_only=True):
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
    progress: tuple[Progress, ...] = ()
    curves: tuple[Curve, ...] = ()
    incidents: tuple[Incident, ...] = ()
    risks: tuple[Risk, ...] = ()
    timeline: tuple[Span, ...] = ()
    next_steps: tuple[Step, ...] = ()
    examples: tuple[Example, ...] = ()
    submissions: tuple[HandedIn, ...] = ()
    provenance: tuple[Fact, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def scored(self) -> tuple[tuple[System, Quality], ...]:
        """The systems that are judged, with their scores, in the order of the line-up."""
        return tuple((one, one.quality) for one in self.systems if one.quality is not None)
