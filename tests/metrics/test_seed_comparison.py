"""Two settings under several seeds, against simulations whose truth is known."""

import numpy as np  # noqa: TID253 -- simulations
import pytest
from scipy.stats import binom, ttest_ind  # noqa: TID253 -- an oracle

from yoyak.metrics.seed_comparison import compare_seeds, seeds_needed

ROWS = 60


def drawn(random, *, gain=0.0, seed_noise=0.0, row_noise=0.1, seeds=3):
    """Scores (rows, seeds) of two settings: rows differ in difficulty, settings react to rows."""
    difficulty = random.normal(0.4, 0.15, size=(ROWS, 1))

    def arm(mean):
        reaction = random.normal(0, row_noise, size=(ROWS, 1))
        shift = random.normal(0, seed_noise, size=(1, seeds))
        return difficulty + mean + reaction + shift + random.normal(0, row_noise, (ROWS, seeds))

    return arm(gain), arm(0.0)


@pytest.mark.parametrize("seed_noise", [0.0, 0.01, 0.05])
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_settings_that_are_equal_in_truth_are_rarely_proven_to_differ(seed_noise, seeds):
    random, times = np.random.default_rng(7), 400
    proven = sum(
        compare_seeds(*drawn(random, seed_noise=seed_noise, seeds=seeds)).proven
        for _ in range(times)
    )
    # One side of a 95 % interval: 2.5 %. The bound leaves a right test 0.1 % to fail.
    assert proven <= binom.ppf(0.999, times, 0.025)


def test_a_row_test_of_single_runs_would_not_do():
    """What this module is for: luck of a seed moves all rows, and a test over rows believes it."""
    random, times = np.random.default_rng(7), 400
    believed = 0
    for _ in range(times):
        one, other = drawn(random, seed_noise=0.05, seeds=1)
        by_row = (one - other).ravel()
        believed += by_row.mean() / (by_row.std(ddof=1) / np.sqrt(ROWS)) > 1.96
    assert believed > 0.2 * times


def test_a_difference_above_the_noise_is_proven():
    random = np.random.default_rng(7)
    found = [compare_seeds(*drawn(random, gain=0.1, seed_noise=0.01, seeds=3)) for _ in range(100)]
    assert sum(one.proven for one in found) > 95
    assert np.mean([one.difference for one in found]) == pytest.approx(0.1, abs=0.01)


def test_what_is_called_detectable_is_detected_four_times_in_five():
    random = np.random.default_rng(7)
    gain = np.mean([compare_seeds(*drawn(random, seed_noise=0.01)).detectable for _ in range(200)])
    found = [compare_seeds(*drawn(random, gain=gain, seed_noise=0.01)) for _ in range(400)]
    assert 0.7 < np.mean([one.proven for one in found]) < 0.95


def test_without_noise_of_rows_it_is_welchs_test_of_the_seeds():
    random = np.random.default_rng(7)
    one, other = (np.tile(random.normal(0.4, 0.02, size=seeds), (ROWS, 1)) for seeds in (3, 5))
    found = compare_seeds(one, other)
    welch = ttest_ind(one[0], other[0], equal_var=False).confidence_interval(0.95)
    assert (found.interval.low, found.interval.high) == pytest.approx((welch.low, welch.high))
    assert found.seeds == 3


def test_a_single_seed_proves_nothing_about_settings():
    random = np.random.default_rng(7)
    found = compare_seeds(*drawn(random, gain=0.5, seeds=1))
    assert found.difference == pytest.approx(0.5, abs=0.05)
    assert (found.interval, found.seed_deviation, found.proven) == (None, None, False)


def test_equal_scores_differ_by_nothing():
    same = np.full((ROWS, 2), 0.25)
    found = compare_seeds(same, same)
    assert (found.difference, found.interval.low, found.interval.high) == (0, 0, 0)
    assert not found.proven


def test_rows_that_do_not_match_are_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="rows differ"):
        compare_seeds(np.zeros((3, 2)), np.zeros((4, 2)))


def test_so_many_seeds_as_are_asked_for_prove_the_difference_four_times_in_five():
    """Planned from one experiment with many seeds; those that follow keep what was planned."""
    random = np.random.default_rng(3)
    noise = {"seed_noise": 0.03, "row_noise": 0.05}
    pilot, baseline = drawn(random, gain=0.05, seeds=200, **noise)
    pilot += 0.05 - (pilot.mean() - baseline.mean())
    needed = seeds_needed(pilot, baseline)
    proven, fewer = (
        np.mean([compare_seeds(*drawn(random, gain=0.05, seeds=seeds, **noise)).proven
                 for _ in range(300)])
        for seeds in (needed, needed // 2)
    )  # fmt: skip
    assert 0.7 <= proven <= 0.95
    assert fewer < proven - 0.1


def test_no_number_of_seeds_helps_where_rows_are_too_few_or_nothing_differs():
    random = np.random.default_rng(5)
    scores, baseline = drawn(random, seed_noise=0.01, seeds=4)
    scores += baseline.mean() - scores.mean()
    assert seeds_needed(scores, baseline) is None
    assert seeds_needed(scores[:, :1] + 0.2, baseline[:, :1]) is None, "its noise is not known"
    far, farther = (seeds_needed(scores + gain, baseline) for gain in (0.12, 0.3))
    assert 2 <= farther <= far
