"""Validate a submission: apply every rule to a file's bytes (the gate)."""

import hashlib

from yoyak.messages import fill, text
from yoyak.submission.context import ValidationContext
from yoyak.submission.distribution_rules import DISTRIBUTION_RULES
from yoyak.submission.format_rules import (
    FORMAT_RULES,
    Location,
    ParsedSubmission,
    RuleFinding,
    SubmissionRule,
    decode_utf8,
    parse_csv,
    parse_submission,
)
from yoyak.values import Severity, Value

BYTES = ("encoding", "unreadable")
"""Rules that come before all others: after a fault here there is nothing to read."""

RULES = (*FORMAT_RULES, *DISTRIBUTION_RULES)
"""Every other rule."""

NAMES = (*BYTES, *(rule.name for rule in RULES))

_SHOWN = 5


class ValidationFault(Value, frozen=True, kw_only=True):
    """One broken rule, with every row at fault."""

    rule: str
    severity: Severity
    places: tuple[Location, ...]
    fields: dict[str, str]

    @property
    def sentence(self) -> str:
        """What was found and why it matters, in the reader's language, without any summary."""
        fields = self.fields | {"count": str(len(self.places))}
        if "basis" in fields:
            fields |= {"basis": text(f"submission.basis-{fields['basis']}")}
        return fill(f"submission.rule-{self.rule}", fields)

    @property
    def text(self) -> str:
        """The sentence, then where it was found: rows with what stands there."""
        where = "; ".join(map(_shown, self.places[:_SHOWN]))
        more = len(self.places) - _SHOWN
        return f"{self.sentence} ({where}{f'; +{more}' if more > 0 else ''})"


class ValidationResult(Value, frozen=True, kw_only=True):
    """Result of validating one file; ``rules`` counts the rules that were applied."""

    sha256: str
    rows: int
    rules: int
    faults: tuple[ValidationFault, ...]

    @property
    def accepted(self) -> bool:
        """Whether no rule refuses the file."""
        return not self.errors

    @property
    def errors(self) -> tuple[ValidationFault, ...]:
        """The faults that refuse the file."""
        return tuple(fault for fault in self.faults if fault.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[ValidationFault, ...]:
        """The faults that are only shown."""
        return tuple(fault for fault in self.faults if fault.severity is Severity.WARNING)


def validate(data: bytes, context: ValidationContext) -> ValidationResult:
    """Apply every rule to a file's bytes."""
    content = decode_utf8(data)
    if isinstance(content, RuleFinding):
        return _result(data, 0, 1, (_fault("encoding", content, Severity.ERROR),))
    table = parse_csv(content)
    if isinstance(table, RuleFinding):
        return _result(data, 0, 2, (_fault("unreadable", table, Severity.ERROR),))
    submission = parse_submission(table, context)
    faults = tuple(fault for rule in RULES if (fault := _apply(rule, submission, context)))
    return _result(data, len(table.records), len(NAMES), faults)


def _result(
    data: bytes, rows: int, rules: int, faults: tuple[ValidationFault, ...]
) -> ValidationResult:
    sha256 = hashlib.sha256(data).hexdigest()
    return ValidationResult(sha256=sha256, rows=rows, rules=rules, faults=faults)


def _apply(
    rule: SubmissionRule, submission: ParsedSubmission, context: ValidationContext
) -> ValidationFault | None:
    found = rule.find(submission, context)
    return _fault(rule.name, found, rule.severity) if found else None


def _fault(rule: str, found: RuleFinding, severity: Severity) -> ValidationFault:
    return ValidationFault(
        rule=rule,
        severity=found.severity or severity,
        places=found.places,
        fields=found.fields,
    )


def _shown(place: Location) -> str:
    found = place.found if len(place.found) <= 40 else f"{place.found[:40]}…"
    where = " ".join(filter(None, (text("submission.row", row=place.row), place.id)))
    return f"{where}: {found}" if found else where
