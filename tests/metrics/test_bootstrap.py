"""Resampling keeps the error rates it promises, and agrees with scipy."""

import numpy as np  # noqa: TID253 -- the oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats  # noqa: TID253 -- the oracle

from yoyak.metrics import bootstrap as bootstrap_


def drawn(random, sets, size, shift):
    """Scores of two systems on the same rows; the true difference is ``shift`` exactly."""
    difficulty = random.beta(4, 5, size=(sets, size)) * 0.6
    ours = difficulty + random.beta(2, 6, size=(sets, size)) * 0.3 + shift
    theirs = difficulty + random.beta(2, 6, size=(sets, size)) * 0.3
    return ours, theirs


def p_of(differences, *, seed, resamples):
    return bootstrap_.sign_flip_p(
        bootstrap_.subset_means(differences, seed=seed, resamples=resamples)
    )[0]


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
            p_of((one - two)[:, None], seed=number, resamples=500)
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
    p = p_of(differences[:, None], seed=0, resamples=20_000)
    expected = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=20_000, rng=0
    ).pvalue
    assert p == pytest.approx(expected, abs=0.01)


def test_all_sign_flips_of_few_rows_are_counted():
    # Four rows all won: 2 of 16 assignments are as extreme.
    p = p_of(np.full((4, 1), 0.1), seed=1, resamples=40_000)
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


@given(
    st.lists(st.floats(-0.2, 0.3).map(lambda value: round(value, 2)), min_size=1, max_size=30),
    st.floats(0.001, 0.5),
    st.integers(0, 99),
)
def test_the_interval_excludes_zero_exactly_where_p_is_below_alpha(values, alpha, seed):
    means = bootstrap_.subset_means(np.array(values)[:, None], seed=seed, resamples=199)
    interval = bootstrap_.sign_flip_interval(means[:, 0], alpha)
    excludes_zero = interval.low > 1e-12 or interval.high < -1e-12
    assert excludes_zero == (bootstrap_.sign_flip_p(means)[0] < alpha - 1e-12)


def test_the_sign_flip_interval_is_students_for_normal_rows():
    values = np.random.default_rng(12).normal(0.01, 0.05, size=(400, 1))
    means = bootstrap_.subset_means(values, seed=3, resamples=20_000)
    found = bootstrap_.sign_flip_interval(means[:, 0], 0.05)
    expected = stats.ttest_1samp(values[:, 0], 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=2e-4)


def test_noninferiority_is_the_one_sided_test_of_scipy():
    values = np.random.default_rng(13).normal(-0.002, 0.04, size=(300, 1))
    means = bootstrap_.subset_means(values, seed=3, resamples=20_000)
    expected = stats.ttest_1samp(values[:, 0], -0.005, alternative="greater").pvalue
    assert bootstrap_.noninferiority_p(means, 0.005)[0] == pytest.approx(expected, abs=0.01)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holms_levels_reject_what_his_corrected_p_values_reject(values):
    p_values = np.array(values)
    rejected = p_values < bootstrap_.holm_levels(p_values, 0.05)
    assert rejected.tolist() == (bootstrap_.holm(p_values) < 0.05).tolist()
