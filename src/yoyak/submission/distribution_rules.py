"""Distribution rules: do the summaries behave like the dev outputs that were scored?

A share of rows (untagged, unfinished, …) is compared between file and dev with Fisher's exact
test, one-sided, because only the worse direction is a fault; lengths with the two-sample
Kolmogorov-Smirnov test. A file is refused only where the difference is beyond sampling noise
(p < 1e-4: eight such rules refuse a good file less than once in a thousand) *and* larger than the
rule's margin. Where the system's dev outputs are not known, dev's references stand in for them.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from statistics import fmean
from typing import NamedTuple

from yoyak.submission import text_rules
from yoyak.submission.context import SubmittedAnswer, ValidationContext
from yoyak.submission.format_rules import (
    Location,
    ParsedSubmission,
    RuleFinding,
    SubmissionRule,
)
from yoyak.values import Severity

REFUSE_P = 1e-4
WARN_P = 1e-3

Faulty = Callable[[Sequence[SubmittedAnswer], Mapping[str, str]], list[str | None]]


class Rate(NamedTuple):
    """A share of rows that may not be larger in the file than on dev.

    ``faulty`` gives what is wrong with each answer, or ``None``. ``too_much`` compares the share
    in the file with the share on dev. With ``show_any`` a single row is already worth a warning.
    """

    name: str
    faulty: Faulty
    too_much: Callable[[float, float], bool]
    show_any: bool = False


# Dev's texts are checked for every file and every rule, and a text always gives the same result.
_cached = lru_cache(maxsize=16_384)


def _text(check: Callable[[str], str | None]) -> Faulty:
    cached = _cached(check)
    return lambda answers, _: [cached(answer.text) for answer in answers]


def _against_dialogue(check: Callable[[str, str], str | None]) -> Faulty:
    cached = _cached(check)
    return lambda answers, dialogues: [
        cached(answer.text, dialogues[answer.id]) if answer.id in dialogues else None
        for answer in answers
    ]


def _copies(answers: Sequence[SubmittedAnswer], _: Mapping[str, str]) -> list[str | None]:
    times = Counter(answer.text for answer in answers)
    return [answer.text if times[answer.text] > 1 else None for answer in answers]


def _points(margin: float) -> Callable[[float, float], bool]:
    return lambda here, there: here - there >= margin


def _tags_lost(here: float, there: float) -> bool:
    """Return whether the share of rows that have a tag fell by 30 % or more."""
    return 1 - here <= 0.7 * (1 - there)


RATES = (
    Rate("untagged", _text(text_rules.untagged), _tags_lost),
    Rate("unfinished", _text(text_rules.unfinished), _points(0.10)),
    Rate("duplicate-text", _copies, _points(0.02)),
    Rate("foreign-script", _text(text_rules.foreign_script), _points(0.02), show_any=True),
    Rate("malformed-tag", _text(text_rules.malformed_tag), _points(0.02), show_any=True),
    Rate("repetition", _text(text_rules.repetition), _points(0.05)),
    Rate("unknown-tag", _against_dialogue(text_rules.unknown_tag), _points(0.05), show_any=True),
    Rate("dialogue-echo", _against_dialogue(text_rules.dialogue_echo), _points(0.05)),
)
"""All compared shares."""


def _rule(rate: Rate) -> SubmissionRule:
    def find(submission: ParsedSubmission, context: ValidationContext) -> RuleFinding | None:
        if context.outputs is None:
            return _compare(rate, submission, context, context.references, "references")
        return _compare(rate, submission, context, context.outputs, "outputs") or _milder(
            _compare(rate, submission, context, context.references, "references")
        )

    return SubmissionRule(rate.name, find)


def _milder(found: RuleFinding | None) -> RuleFinding | None:
    """Downgrade to a warning: what is as bad on dev is part of the score already."""
    return found and found._replace(severity=Severity.WARNING)


def _compare(
    rate: Rate,
    submission: ParsedSubmission,
    context: ValidationContext,
    base: Sequence[SubmittedAnswer],
    basis: str,
) -> RuleFinding | None:
    here = rate.faulty(submission.answers, context.dialogues)
    there = [one is not None for one in rate.faulty(base, context.dialogues)]
    places = tuple(
        Location(row=answer.row, id=answer.id, found=found)
        for answer, found in zip(submission.answers, here, strict=True)
        if found is not None
    )
    if not places or not there:
        return None
    share, base_share = len(places) / len(here), fmean(there)
    p = worse_by_chance(len(places), len(here), sum(there), len(there))
    rare = rate.show_any and basis == "references" and share > base_share
    if not (rare or p < WARN_P):
        return None
    refused = p < REFUSE_P and rate.too_much(share, base_share)
    return RuleFinding(
        places,
        _fields(share, base_share, p) | {"basis": basis},
        Severity.ERROR if refused else Severity.WARNING,
    )


def _fields(share: float, base_share: float, p: float) -> dict[str, str]:
    return {"share": f"{share:.1%}", "base": f"{base_share:.1%}", "p": f"{p:.1g}"}


def worse_by_chance(here: int, rows: int, there: int, base_rows: int) -> float:
    """Return the p-value of Fisher's exact test: at least ``here`` faulty rows by chance."""
    from scipy.stats import fisher_exact

    table = [[here, rows - here], [there, base_rows - there]]
    return float(fisher_exact(table, alternative="greater").pvalue)


def _length(submission: ParsedSubmission, context: ValidationContext) -> RuleFinding | None:
    """Compare characters per summary; refuse only beyond 2/3 … 3/2 of own dev outputs' mean."""
    from scipy.stats import ks_2samp

    base, basis = (
        (context.references, "references")
        if context.outputs is None
        else (context.outputs, "outputs")
    )
    here = [len(answer.text.strip()) for answer in submission.answers]
    there = [len(answer.text.strip()) for answer in base]
    if not here or not any(there):
        return None
    with warnings.catch_warnings():
        # Where the exact p-value of long lists overflows, scipy says so and gives the asymptotic.
        warnings.simplefilter("ignore", RuntimeWarning)
        p = float(ks_2samp(here, there).pvalue)
    if p >= WARN_P:
        return None
    ratio = fmean(here) / fmean(there)
    refused = basis == "outputs" and p < REFUSE_P and not 2 / 3 <= ratio <= 3 / 2
    fields = {"here": f"{fmean(here):.0f}", "base": f"{fmean(there):.0f}", "p": f"{p:.1g}"}
    return RuleFinding(
        _extremes(submission.answers, longest=ratio > 1),
        fields | {"basis": basis},
        Severity.ERROR if refused else Severity.WARNING,
    )


def _extremes(answers: Sequence[SubmittedAnswer], *, longest: bool) -> tuple[Location, ...]:
    ordered = sorted(answers, key=lambda answer: len(answer.text), reverse=longest)
    return tuple(
        Location(row=answer.row, id=answer.id, found=str(len(answer.text)))
        for answer in ordered[:5]
    )


DISTRIBUTION_RULES = (*map(_rule, RATES), SubmissionRule("length", _length))
"""All distribution rules, in the order in which they are reported."""
