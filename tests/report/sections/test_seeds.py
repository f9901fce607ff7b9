"""What the report and ``yoyak compare`` say of differences that seeds alone make."""

import pytest

from yoyak import messages
from yoyak.metrics.protocol import OFFICIAL, protocol_of
from yoyak.metrics.significance import Comparison, PairComparison, Verdict
from yoyak.report.sections.seeds import within_seed_noise
from yoyak.runs.replicates import SeedNoise
from yoyak.values import Interval, Rouge

PROTOCOL = protocol_of(OFFICIAL, {"dev_0": ("요약.",)})


def compared(points, verdict=Verdict.BETTER):
    by = points / 100
    pair = PairComparison(
        system="tuned", baseline="plain", difference=Rouge(rouge1=by, rouge2=by, rougeL=by),
        interval=Interval(low=by - 0.001, high=by + 0.001), p_value=0.01, p_holm=0.01,
        p_as_good=0.01, wins=3, ties=0, losses=1, detectable=None, verdict=verdict,
    )  # fmt: skip
    return Comparison(
        protocol=PROTOCOL, baseline="plain", standings=(), contrasts=(pair,), alpha=0.05,
        margin=0.005, resamples=10, seed=1,
    )  # fmt: skip


def noise(*means, signature=PROTOCOL.signature):
    names = tuple(f"r{at}" for at in range(len(means)))
    return SeedNoise(name="r", runs=names, means=means, protocol=f"{signature}/dev")


SEEDS = noise(0.40, 0.41, 0.42)  # deviation 1 point: two seeds differ by up to 2.77


@pytest.mark.parametrize(
    ("points", "verdict", "said"),
    [
        (1.0, Verdict.BETTER, ["tuned is better than plain by 1.00"]),
        (-1.0, Verdict.WORSE, ["plain is better than tuned by 1.00"]),
        (3.0, Verdict.BETTER, []),
        (1.0, Verdict.NOT_PROVEN, []),
    ],
)
def test_a_better_that_is_smaller_than_what_seeds_change_is_called_so(points, verdict, said):
    with messages.speaking("en"):
        lines = within_seed_noise(compared(points, verdict), [SEEDS], {})
    assert [line.partition(" points")[0] for line in lines] == said
    assert all("2.77" in line for line in lines)


def test_seeds_of_another_protocol_say_nothing():
    other = noise(0.40, 0.41, 0.42, signature="rouge101")
    assert within_seed_noise(compared(1.0), [other], {}) == []
    assert within_seed_noise(compared(1.0), [], {}) == []


def test_names_are_those_of_the_table():
    lines = within_seed_noise(compared(1.0), [SEEDS], {"tuned": "kobart*"})
    assert "kobart*" in lines[0]
