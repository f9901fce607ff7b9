"""Stated figures are held against the arithmetic of any ROUGE on one token stream."""

import pytest

from yoyak.metrics.rouge_consistency import RougeClaim, computed_consistency, rouge_consistency
from yoyak.metrics.sanity_checks import Severity


def keys(*figures, **stated):
    return [
        alarm.key.removeprefix("metrics.alarm-") for alarm in rouge_consistency(*figures, **stated)
    ]


@pytest.mark.parametrize(
    ("figures", "stated", "expected"),
    [
        ((52.14, 32.10, 42.86), {"sum": 127.09, "mean": 42.36}, []),
        ((100.0, 100.0, 100.0), {"sum": 300.0, "mean": 100.0}, []),
        ((40.0, 20.0, 41.0), {}, ["rougel-above-rouge1"]),
        ((50.0, 30.0, 40.0), {"sum": 130.0}, ["sum-broken"]),
        ((50.0, 30.0, 40.0), {"mean": 120.0}, ["mean-broken"]),
        ((0.52, 32.1, 42.9), {}, ["mixed-scales"]),
        ((152.0, 32.1, 42.9), {}, ["out-of-range"]),
        ((60.0, 24.0, 13.0), {}, ["not-one-token-stream", "rougel-below-rouge2"]),
        ((64.0, 50.0, 47.0), {}, ["rougel-below-rouge2", "unusual-ratio-2"]),
        ((60.0, 20.0, 39.0), {}, ["unusual-ratio-l"]),
        ((60.0, 30.0, 59.5), {}, ["unusual-ratio-l"]),
        ((60.0, 46.0, 50.0), {}, ["unusual-ratio-2"]),
        ((30.0, 10.0, 24.0), {"constant_floor": 38.0}, ["rouge1-below-constant"]),
    ],
)  # fmt: skip
def test_stated_figures_are_checked(figures, stated, expected):
    assert keys(*figures, **stated) == expected


def test_the_recorded_claim_of_94_51_cannot_be_one_run():
    # A published table: parts that add up, but an LCS far below what shuffled text keeps.
    alarms = rouge_consistency(56.20, 24.35, 13.96, sum=94.51)
    assert [alarm.severity for alarm in alarms] == [Severity.ERROR, Severity.WARNING]
    assert keys(51.98, 26.61, 47.03, sum=94.51) == ["sum-broken"]


def test_figures_computed_here_are_never_taken_for_a_mix_of_scales():
    """A weak system has a ROUGE-2 of 0.22 points beside a ROUGE-1 of 10.46."""
    assert keys(10.46, 0.22, 8.46) == ["mixed-scales"]
    assert computed_consistency(RougeClaim(10.46, 0.22, 8.46)) == ()


def test_rounded_parts_do_not_break_the_identity():
    assert keys(12.344, 10.004, 11.116, sum=33.47, mean=11.15) == ["unusual-ratio-2"]
