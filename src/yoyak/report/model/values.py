"""Component values of a report, each with the record it was read from.

Fractions are 0 to 1, durations are seconds, timestamps are seconds since 1970 (UTC).
"""

from msgspec import field

from yoyak import messages
from yoyak.ensemble.gain import Gain
from yoyak.events import CheckResult
from yoyak.submission.validate import ValidationFault
from yoyak.values import Interval, Value


class Sentence(Value, frozen=True, kw_only=True):
    """A sentence of the message catalogue, with the values of its fields."""

    key: str
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The sentence in the current language."""
        return messages.recorded(self.key, self.fields)


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
    public_score: float | None
    """Leaderboard score, 0 to 1."""
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
    """A statement that the records do not support, found by ``report.lint``."""

    rule: str
    what: Sentence
    record: str


class Pair(Value, frozen=True, kw_only=True):
    """Complementarity of two systems on the rows of dev."""

    one: str
    other: str
    oracle_gain: float
    """Mean of the better answer of each row less the better system's mean; ROUGE mean, 0 to 1."""
    other_better: float
    """Share of the rows on which ``other`` scores higher."""


class Proof(Value, frozen=True, kw_only=True):
    """Checks of a run made before its first step."""

    run: str
    name: str
    checks: tuple[CheckResult, ...]
    record: str
