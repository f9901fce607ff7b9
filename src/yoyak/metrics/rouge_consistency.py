"""Check whether three stated ROUGE figures can come from one run of one metric.

T1: an LCS is a common sub-multiset, so RL ≤ R1 always. T2: every matched bigram starts at a
matched token, so R2 exceeds R1 only on very short texts. T3: RL < R2 is possible, but no real
system shows it on a corpus. The ranges were measured on real prediction files; docs/metrics.md.
"""

from collections.abc import Iterator
from typing import NamedTuple

from yoyak.metrics.sanity_checks import Alarm
from yoyak.values import Severity

_ROUNDING = 0.011
"""Half a unit of the second decimal on each side, in points."""


class RougeClaim(NamedTuple):
    """Stated figures as printed: ROUGE-1, ROUGE-2, ROUGE-L, and their sum and mean if given."""

    rouge1: float
    rouge2: float
    rougeL: float
    sum: float | None = None
    mean: float | None = None
    constant_floor: float | None = None
    """The R1 of a constant sentence on the same rows and scale, if known."""


def rouge_consistency(
    rouge1: float,
    rouge2: float,
    rougeL: float,
    *,
    sum: float | None = None,
    mean: float | None = None,
    constant_floor: float | None = None,
) -> tuple[Alarm, ...]:
    """Return the alarms of stated figures on the 0–100 scale, errors first.

    ``sum`` is R1 + R2 + RL (0–300), ``mean`` a third of it (0–100). Single rows may break every
    rule but RL ≤ R1; the rules are for corpora.
    """
    claim = RougeClaim(rouge1, rouge2, rougeL, sum, mean, constant_floor)
    return tuple(_scale(claim)) or computed_consistency(claim)


def computed_consistency(claim: RougeClaim) -> tuple[Alarm, ...]:
    """Return the alarms of figures that were computed here, so that no scales can be mixed."""
    return (*_impossible(claim), *_implausible(claim))


def _error(key: str, **evidence: float) -> Alarm:
    return _alarm(key, Severity.ERROR, evidence)


def _warning(key: str, **evidence: float) -> Alarm:
    return _alarm(key, Severity.WARNING, evidence)


def _alarm(key: str, severity: Severity, evidence: dict[str, float]) -> Alarm:
    shown = {name: f"{value:.2f}" for name, value in evidence.items()}
    return Alarm(key=key, severity=severity, evidence=shown)


def _scale(claim: RougeClaim) -> Iterator[Alarm]:
    """Yield the alarm of figures that are not on one scale; no other rule applies to them."""
    triple = claim[:3]
    shown = {"rouge1": claim.rouge1, "rouge2": claim.rouge2, "rougeL": claim.rougeL}
    if min(triple) < 0 or max(triple) > 100 + _ROUNDING:
        yield _error("metrics.alarm-out-of-range", **shown)
    elif any(0 < value <= 1 for value in triple) and max(triple) > 2:
        yield _error("metrics.alarm-mixed-scales", **shown)


def _impossible(claim: RougeClaim) -> Iterator[Alarm]:
    total = claim.rouge1 + claim.rouge2 + claim.rougeL
    ratio = claim.rougeL / claim.rouge1 if claim.rouge1 else 1.0
    if claim.rougeL > claim.rouge1 + _ROUNDING:
        yield _error("metrics.alarm-rougel-above-rouge1", rouge1=claim.rouge1, rougeL=claim.rougeL)
    if claim.sum is not None and abs(claim.sum - total) > 3 * _ROUNDING:
        yield _error("metrics.alarm-sum-broken", sum=claim.sum, expected=total)
    if claim.mean is not None and abs(claim.mean - total / 3) > 2 * _ROUNDING:
        yield _error("metrics.alarm-mean-broken", mean=claim.mean, expected=total / 3)
    if ratio < 0.45:
        yield _error("metrics.alarm-not-one-token-stream", ratio=ratio)


def _implausible(claim: RougeClaim) -> Iterator[Alarm]:
    first, second, longest = claim[:3]
    ratio = longest / first if first else 1.0
    if longest < second - _ROUNDING:
        yield _warning("metrics.alarm-rougel-below-rouge2", rouge2=second, rougeL=longest)
    if 0.45 <= ratio < 0.70 or (ratio > 0.98 and longest <= first < 90):
        yield _warning("metrics.alarm-unusual-ratio-l", ratio=ratio)
    if 0 < first < 65 and second / first > 0.75:
        # The share of bigrams grows with the overlap: morphemes reach 0.72 at R1 = 68.
        yield _warning("metrics.alarm-unusual-ratio-2", ratio=second / first)
    floor = claim.constant_floor
    if floor is not None and first < floor:
        yield _warning("metrics.alarm-rouge1-below-constant", rouge1=first, floor=floor)
