"""Resampling keeps the error rates it promises, and agrees with scipy."""

import numpy as np  # noqa: TID253 -- the oracle
import pytest
from scipy import stats  # noqa: TID253 -- the oracle

from yoyak.metrics import bootstrap as bootstrap_


def drawn(random, sets, size, shift):
    """Scores of two systems on the same rows; the true difference is ``shift`` exactly."""
    difficulty = random.beta(4, 5, size=(sets, size)) * 0.6
    ours = difficulty + random.beta(2, 6, size=(sets, size)) * 0.3 + shift
    theirs = difficulty + random.beta(2, 6, size=(sets, size)) * 0.3
    return ours, theirs


def test_intervals_of_the_difference_cover_the_truth_as_often_as_they_say():
    random, shift, size = np.random.default_rng(2026), 0.01, 200
    ours, theirs = drawn(random, 1000, size, shift)
    covered = 0
    for number, (one, two) in enumerate(zip(ours, theirs, strict=True)):
        (interval,) = bootstrap_.mean_intervals((one - two)[:, None], seed=number, resamples=1000)
        covered += interval.low <= shift <= interval.high
    assert 930 <= covered <= 970


def test_equal_systems_are_rarely_called_different():
    random = np.random.default_rng(5)
    ours, theirs = drawn(random, 1000, 100, 0.0)
    p_values = np.array(
        [
            bootstrap_.randomisation_p((one - two)[:, None], seed=number, resamples=500)[0]
            for number, (one, two) in enumerate(zip(ours, theirs, strict=True))
        ]
    )
    # A binomial share at 5 % of 1,000 lies within ±2 points with certainty above 99.6 %.
    assert abs((p_values < 0.05).mean() - 0.05) < 0.02


def test_the_detectable_difference_is_found_with_80_percent_power():
    random = np.random.default_rng(11)
    one, two = drawn(random, 1, 400, 0.0)
    (detectable,) = bootstrap_.smallest_detectable((one - two).T)
    ours, theirs = drawn(random, 600, 400, float(detectable))
    found = stats.ttest_rel(ours, theirs, axis=1).pvalue < 0.05
    assert 0.74 < found.mean() < 0.86


def test_p_agrees_with_scipy():
    random = np.random.default_rng(3)
    one, two = drawn(random, 1, 60, 0.03)
    differences = (one - two)[0]
    (p,) = bootstrap_.randomisation_p(differences[:, None], seed=0, resamples=20_000)
    expected = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=20_000, rng=0
    ).pvalue
    assert p == pytest.approx(expected, abs=0.01)


def test_all_sign_flips_of_few_rows_are_counted():
    # Four rows all won: 2 of 16 assignments are as extreme.
    (p,) = bootstrap_.randomisation_p(np.full((4, 1), 0.1), seed=1, resamples=40_000)
    assert p == pytest.approx(2 / 16, abs=0.01)


def test_the_bootstrap_agrees_with_scipy_and_with_its_normal_limit():
    values = np.random.default_rng(8).beta(3, 4, size=(499, 1))
    (ours,) = bootstrap_.mean_intervals(values, seed=42, resamples=10_000)
    theirs = stats.bootstrap(
        (values[:, 0],), np.mean, method="percentile", n_resamples=10_000, rng=1
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.001)
    many = np.resize(values, (bootstrap_.NORMAL_FROM_ROWS, 1))
    (normal,) = bootstrap_.mean_intervals(many, seed=42, resamples=10)
    bootstrap = bootstrap_.percentiles(
        bootstrap_.bootstrap_means(many, seed=42, resamples=1000)[:, 0]
    )
    assert (normal.low, normal.high) == pytest.approx((bootstrap.low, bootstrap.high), abs=5e-4)


def test_holm_corrects_step_by_step():
    corrected = bootstrap_.holm(np.array([0.01, 0.04, 0.03, 0.005]))
    assert corrected == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert bootstrap_.holm(np.array([0.4, 0.9])).tolist() == [0.8, 0.9]
