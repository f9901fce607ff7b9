"""Check whether a score can be trusted: a table of rules over a scorecard's evidence.

An error means that the figure cannot be what it claims, or that the file must not be submitted; a
warning means that somebody should look. Every rule is one row of a table.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from yoyak import messages
from yoyak.metrics.align_ids import Alignment, lookalikes, shown_lookalikes
from yoyak.metrics.baselines import Probes, TrivialBaselines
from yoyak.metrics.diagnostics.error_types import ErrorType
from yoyak.metrics.diagnostics.statistics import FileStatistics
from yoyak.values import Rouge, Severity, Value


class Alarm(Value, frozen=True, kw_only=True):
    """One alarm: a catalogue sentence, its evidence, and the rows at fault where there are any."""

    key: str
    severity: Severity
    evidence: dict[str, str]
    rows: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """Return the alarm in the reader's language."""
        return messages.recorded(self.key, self.evidence)


class SanityInputs(NamedTuple):
    """The evidence that the rules look at."""

    rouge: Rouge
    alignment: Alignment
    floors: TrivialBaselines
    probes: Probes
    statistics: FileStatistics
    faults: Mapping[ErrorType, tuple[str, ...]]
    untagged: tuple[str, ...]
    """Rows without a speaker tag whose reference has one."""
    repeated_text: tuple[str, ...]
    """Rows that share their text with another row."""
    equal_to_reference: tuple[str, ...]
    """Rows whose text is one of their references, blanks at the ends aside."""
    decomposed: tuple[str, ...]
    """Rows that were not in Unicode NFC before they were read or scored."""
    labelled_predictions: bool
    """Whether the predictions come from a file with dialogues and the references do not."""
    rouge1_equals_rougel: float
    """Share of the rows that score at all in which the two are equal."""


class SanityFinding(NamedTuple):
    """What a rule found: the fields of its sentence, and the rows at fault."""

    fields: dict[str, str]
    rows: tuple[str, ...] = ()
    severity: Severity | None = None


class SanityRule(NamedTuple):
    """One row of the table."""

    key: str
    severity: Severity
    check: Callable[[SanityInputs], SanityFinding | None]


def points(fraction: float) -> str:
    """Format a fraction as points on the 0–100 scale, two decimals."""
    return f"{100 * fraction:.2f}"


def _percent(count: int, rows: int) -> str:
    return f"{100 * count / rows:.1f}"


def _ids_differ(evidence: SanityInputs) -> SanityFinding | None:
    missing, leftover = evidence.alignment.missing, evidence.alignment.leftover
    if not missing and not leftover:
        return None
    return SanityFinding(
        {
            "missing": str(len(missing)),
            "leftover": str(len(leftover)),
            "scored": str(evidence.alignment.scored),
        },
        (*missing, *leftover),
    )


def _ids_look_alike(evidence: SanityInputs) -> SanityFinding | None:
    alike = lookalikes(evidence.alignment.leftover, evidence.alignment.missing)
    if not alike:
        return None
    return SanityFinding(
        {"count": str(len(alike)), "examples": shown_lookalikes(alike)}, tuple(alike)
    )


def _perfect(evidence: SanityInputs) -> SanityFinding | None:
    rows, total = len(evidence.equal_to_reference), evidence.statistics.predictions.rows
    if rows < min(3, total) or rows <= 0.05 * total:
        return None
    severity = Severity.ERROR if rows > 0.5 * total else Severity.WARNING
    fields = {"rows": str(rows), "percent": _percent(rows, total)}
    return SanityFinding(fields, evidence.equal_to_reference, severity)


def _decomposed(evidence: SanityInputs) -> SanityFinding | None:
    if not evidence.decomposed:
        return None
    total = evidence.statistics.predictions.rows
    rows = len(evidence.decomposed)
    return SanityFinding({"rows": str(rows), "percent": _percent(rows, total)}, evidence.decomposed)


def _exchanged(evidence: SanityInputs) -> SanityFinding | None:
    """Find references that look generated beside predictions that look like references."""
    ours, theirs = (
        sum(file.faults.values()) + file.identical
        for file in (evidence.statistics.predictions, evidence.statistics.references)
    )
    rows = evidence.statistics.references.rows
    if theirs <= 0.05 * rows or ours > 0.25 * theirs:
        return None
    return SanityFinding({"references": str(theirs), "predictions": str(ours)})


def _labelled_predictions(evidence: SanityInputs) -> SanityFinding | None:
    return SanityFinding({}) if evidence.labelled_predictions else None


def _below_constant(evidence: SanityInputs) -> SanityFinding | None:
    floor = evidence.floors.constant.mean
    if evidence.rouge.mean >= floor:
        return None
    return SanityFinding({"mean": points(evidence.rouge.mean), "floor": points(floor)})


def _below_unrelated(evidence: SanityInputs) -> SanityFinding | None:
    floor = evidence.floors.unrelated
    if floor is None or evidence.rouge.mean >= floor.mean:
        return None
    return SanityFinding({"mean": points(evidence.rouge.mean), "floor": points(floor.mean)})


def _only_tags_match(evidence: SanityInputs) -> SanityFinding | None:
    rows, total = evidence.probes.only_tags_match, evidence.statistics.predictions.rows
    if len(rows) <= 0.1 * total:
        return None
    return SanityFinding(
        {
            "percent": _percent(len(rows), total),
            "without": points(evidence.probes.without_tags.mean),
        },
        rows,
    )


def _rouge1_is_rougel(evidence: SanityInputs) -> SanityFinding | None:
    # Identical texts have R1 = RL = 1 rightly; a broken tokenizer makes low scores agree.
    if evidence.rouge1_equals_rougel < 0.9 or evidence.rouge.rouge1 > 0.9:
        return None
    return SanityFinding({"percent": f"{100 * evidence.rouge1_equals_rougel:.1f}"})


def _identical(evidence: SanityInputs) -> SanityFinding | None:
    ours, theirs = evidence.statistics.predictions, evidence.statistics.references
    rows, total = len(evidence.repeated_text), ours.rows
    if rows < 3 or rows <= 0.05 * total + theirs.identical:
        return None
    severity = Severity.ERROR if rows > 0.5 * total else Severity.WARNING
    fields = {
        "rows": str(rows),
        "percent": _percent(rows, total),
        "most": str(ours.most_common),
    }
    return SanityFinding(fields, evidence.repeated_text, severity)


def _tags_missing(evidence: SanityInputs) -> SanityFinding | None:
    ours, theirs = evidence.statistics.predictions, evidence.statistics.references
    if not theirs.tagged or ours.tagged >= 0.5 * theirs.tagged:
        return None
    return SanityFinding(
        {
            "percent": _percent(ours.tagged, ours.rows),
            "references": _percent(theirs.tagged, theirs.rows),
            "without": points(evidence.probes.without_tags.mean),
        },
        evidence.untagged,
    )


def _share_above(fault: ErrorType, limit: float) -> Callable[[SanityInputs], SanityFinding | None]:
    """Return a rule: more rows show the fault than ``limit`` plus the references' own share."""

    def check(evidence: SanityInputs) -> SanityFinding | None:
        rows, theirs = evidence.faults.get(fault, ()), evidence.statistics.references
        total = evidence.statistics.predictions.rows
        allowed = limit + theirs.faults.get(fault, 0) / theirs.rows
        if len(rows) <= allowed * total:
            return None
        return SanityFinding({"rows": str(len(rows)), "percent": _percent(len(rows), total)}, rows)

    return check


def _stopped_by_length(evidence: SanityInputs) -> SanityFinding | None:
    stopped, total = evidence.statistics.stopped_by_length, evidence.statistics.predictions.rows
    if stopped is None or stopped <= 0.02 * total:
        return None
    return SanityFinding({"rows": str(stopped), "percent": _percent(stopped, total)})


RULES: tuple[SanityRule, ...] = (
    SanityRule("metrics.alarm-ids-differ", Severity.ERROR, _ids_differ),
    SanityRule("metrics.alarm-ids-look-alike", Severity.ERROR, _ids_look_alike),
    SanityRule("metrics.alarm-exchanged", Severity.WARNING, _exchanged),
    SanityRule("metrics.alarm-labelled-predictions", Severity.WARNING, _labelled_predictions),
    SanityRule("metrics.alarm-perfect", Severity.WARNING, _perfect),
    SanityRule("metrics.alarm-decomposed", Severity.WARNING, _decomposed),
    SanityRule("metrics.alarm-empty", Severity.ERROR, _share_above(ErrorType.EMPTY, 0.0)),
    SanityRule("metrics.alarm-below-unrelated", Severity.ERROR, _below_unrelated),
    SanityRule("metrics.alarm-below-constant", Severity.WARNING, _below_constant),
    SanityRule("metrics.alarm-only-tags-match", Severity.ERROR, _only_tags_match),
    SanityRule("metrics.alarm-rouge1-is-rougel", Severity.ERROR, _rouge1_is_rougel),
    SanityRule("metrics.alarm-identical", Severity.WARNING, _identical),
    SanityRule("metrics.alarm-tags-missing", Severity.WARNING, _tags_missing),
    SanityRule(
        "metrics.alarm-malformed-tags",
        Severity.WARNING,
        _share_above(ErrorType.MALFORMED_TAG, 0.01),
    ),
    SanityRule(
        "metrics.alarm-unknown-speakers",
        Severity.WARNING,
        _share_above(ErrorType.UNKNOWN_SPEAKER, 0.01),
    ),
    SanityRule(
        "metrics.alarm-foreign-script", Severity.ERROR, _share_above(ErrorType.FOREIGN_SCRIPT, 0.0)
    ),
    SanityRule(
        "metrics.alarm-not-korean", Severity.ERROR, _share_above(ErrorType.NOT_KOREAN, 0.01)
    ),
    SanityRule("metrics.alarm-wrapped", Severity.WARNING, _share_above(ErrorType.WRAPPED, 0.01)),
    SanityRule(
        "metrics.alarm-odd-blanks", Severity.WARNING, _share_above(ErrorType.ODD_BLANK, 0.0)
    ),
    SanityRule(
        "metrics.alarm-cut-endings", Severity.WARNING, _share_above(ErrorType.UNFINISHED, 0.05)
    ),
    SanityRule("metrics.alarm-stopped-by-length", Severity.WARNING, _stopped_by_length),
    SanityRule(
        "metrics.alarm-repetition", Severity.WARNING, _share_above(ErrorType.REPETITION, 0.02)
    ),
    SanityRule(
        "metrics.alarm-prompt-echo", Severity.ERROR, _share_above(ErrorType.PROMPT_ECHO, 0.02)
    ),
)
"""Every rule over a file of predictions; thresholds are stated in docs/metrics.md."""


def run_sanity_checks(evidence: SanityInputs) -> tuple[Alarm, ...]:
    """Return the alarms of a file of predictions, in the order of the table."""
    found = [(rule, finding) for rule in RULES if (finding := rule.check(evidence)) is not None]
    return tuple(
        Alarm(
            key=rule.key,
            severity=finding.severity or rule.severity,
            evidence=finding.fields,
            rows=finding.rows,
        )
        for rule, finding in found
    )
