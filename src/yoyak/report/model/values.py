"""The small values that a view is made of, each with the record it was read from.

Fractions stay 0 to 1, times are seconds, moments are seconds since 1970 (UTC).
"""

from msgspec import field

from yoyak import messages
from yoyak.ensemble.gain import Gain
from yoyak.events import CheckResult
from yoyak.submission.validate import ValidationFault
from yoyak.values import Interval, Value


class Sentence(Value, frozen=True, kw_only=True):
    """A sentence of the catalogue, spoken in the language of the reader."""

    key: str
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The sentence in the language that is being spoken."""
        return messages.recorded(self.key, self.fields)


class Measured(Value, frozen=True, kw_only=True):
    """A number with the interval it is known to, where one was computed."""

    value: float
    interval: Interval | None = None


class Forecast(Value, frozen=True, kw_only=True):
    """Time left, as the median and the 90th percentile of what the run's own pace allows."""

    p50_seconds: float
    p90_seconds: float


class Incident(Value, frozen=True, kw_only=True):
    """Something that went otherwise than planned, and what was done."""

    at: float
    run: str
    name: str
    step: int
    what: Sentence
    lost_steps: int | None
    record: str


class TimelineSpan(Value, frozen=True, kw_only=True):
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


class DiskSpace(Value, frozen=True, kw_only=True):
    """The disk of the workspace as it is now."""

    free_gb: float
    total_gb: float


class DiskForecast(Value, frozen=True, kw_only=True):
    """The disk when all runs are done: five shares of the whole; ``left_gb`` may be negative."""

    used_gb: float
    """Whatever is neither free nor the workspace's."""
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
    """What the leaderboard said, 0 to 1."""
    warnings: tuple[ValidationFault, ...] = ()
    """What the submission validation let pass and somebody should look at."""
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
    """Catalogue: ``report.example-WHY``."""
    chosen: int | None = None
    """Which of ``answers`` a blend took; ``None`` where no blend is shown."""


class Voter(Value, frozen=True, kw_only=True):
    """A member of a blend."""

    system: str
    decode: str
    votes: float


class Blended(Value, frozen=True, kw_only=True):
    """A blend that was handed in, and some rows of dev under it; means are 0 to 1."""

    number: str
    method: str
    voters: tuple[Voter, ...]
    components: tuple[float, float, float] | None
    """Weights of R1, R2 and RL."""
    dev: Measured
    held_out: Gain | None
    rows: tuple[Example, ...]
    """Empty where the data or a member are gone."""
    record: str


class ReportFinding(Value, frozen=True, kw_only=True):
    """Something that the records do not support; found by ``report.lint``."""

    rule: str
    what: Sentence
    record: str


class Pair(Value, frozen=True, kw_only=True):
    """How two systems complement each other, on the rows of dev."""

    one: str
    other: str
    oracle_gain: float
    """The better answer of each row less the better system, ROUGE mean 0 to 1."""
    other_better: float
    """Share of the rows on which ``other`` is ahead."""


class Proof(Value, frozen=True, kw_only=True):
    """What was proved of a run before its first step."""

    run: str
    name: str
    checks: tuple[CheckResult, ...]
    record: str
