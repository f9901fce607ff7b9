"""The gate: every rule applied to a file's bytes, and the verdict."""

import hashlib

from yoyak.messages import fill, text
from yoyak.submission.context import ValidationContext
from yoyak.submission.distribution_rules import DRIFT
from yoyak.submission.format_rules import (
    FORM,
    Location,
    ParsedSubmission,
    RuleFinding,
    RuleSeverity,
    SubmissionRule,
    decoded,
    parsed,
    read_filing,
)
from yoyak.values import Value

BYTES = ("encoding", "unreadable")
"""Rules that come before all others: after a fault here there is nothing to read."""

RULES = (*FORM, *DRIFT)
"""Every other rule there is."""

NAMES = (*BYTES, *(rule.name for rule in RULES))

_SHOWN = 5


class ValidationFault(Value, frozen=True, kw_only=True):
    """One rule that was broken, with every row at fault."""

    rule: str
    severity: RuleSeverity
    places: tuple[Location, ...]
    fields: dict[str, str]

    @property
    def text(self) -> str:
        """What was found, where and why it matters, in the language of the moment."""
        fields = self.fields | {"count": str(len(self.places))}
        if "basis" in fields:
            fields |= {"basis": text(f"submission.basis-{fields['basis']}")}
        sentence = fill(f"submission.rule-{self.rule}", fields)
        where = "; ".join(map(_shown, self.places[:_SHOWN]))
        more = len(self.places) - _SHOWN
        return f"{sentence} ({where}{f'; +{more}' if more > 0 else ''})"


class ValidationResult(Value, frozen=True, kw_only=True):
    """What the gate says about one file; ``rules`` counts the rules that were applied."""

    sha256: str
    rows: int
    rules: int
    faults: tuple[ValidationFault, ...]

    @property
    def accepted(self) -> bool:
        """No rule refuses the file."""
        return not self.errors

    @property
    def errors(self) -> tuple[ValidationFault, ...]:
        """The faults that refuse the file."""
        return tuple(fault for fault in self.faults if fault.severity is RuleSeverity.ERROR)

    @property
    def warnings(self) -> tuple[ValidationFault, ...]:
        """The faults that are only shown."""
        return tuple(fault for fault in self.faults if fault.severity is RuleSeverity.WARNING)


def validate(data: bytes, evidence: ValidationContext) -> ValidationResult:
    """Applies every rule to a file's bytes."""
    content = decoded(data)
    if isinstance(content, RuleFinding):
        return _verdict(data, 0, 1, (_fault("encoding", content, RuleSeverity.ERROR),))
    table = parsed(content)
    if isinstance(table, RuleFinding):
        return _verdict(data, 0, 2, (_fault("unreadable", table, RuleSeverity.ERROR),))
    filing = read_filing(table, evidence)
    faults = tuple(fault for rule in RULES if (fault := _apply(rule, filing, evidence)))
    return _verdict(data, len(table.records), len(NAMES), faults)


def _verdict(
    data: bytes, rows: int, rules: int, faults: tuple[ValidationFault, ...]
) -> ValidationResult:
    sha256 = hashlib.sha256(data).hexdigest()
    return ValidationResult(sha256=sha256, rows=rows, rules=rules, faults=faults)


def _apply(
    rule: SubmissionRule, filing: ParsedSubmission, evidence: ValidationContext
) -> ValidationFault | None:
    found = rule.find(filing, evidence)
    return _fault(rule.name, found, rule.severity) if found else None


def _fault(rule: str, found: RuleFinding, severity: RuleSeverity) -> ValidationFault:
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
