"""The best of equal trials, against the closed form and against searches without an effect."""

import math

import numpy as np  # noqa: TID253 -- simulations
import pytest

from yoyak.metrics.selection_bias import chance_gains

ROWS = 200


def equal_trials(random, trials, noise=0.1):
    difficulty = random.normal(0.4, 0.2, size=(ROWS, 1))
    return difficulty + random.normal(0, noise, size=(ROWS, trials))


def test_the_first_trial_gains_nothing_and_more_trials_gain_more():
    found = chance_gains(equal_trials(np.random.default_rng(5), 8))
    assert [one.trials for one in found] == list(range(1, 9))
    assert (found[0].expected, found[0].interval.high) == (0, 0)
    gains = [one.expected for one in found]
    assert gains == sorted(gains)


def test_the_gain_is_that_of_the_largest_of_independent_normal_means():
    random = np.random.default_rng(5)
    found = np.mean(
        [chance_gains(equal_trials(random, 8), resamples=400)[-1].expected for _ in range(20)]
    )
    draws = random.normal(0, 0.1 / math.sqrt(ROWS), size=(200_000, 8))
    assert found == pytest.approx((draws.max(axis=1) - draws[:, 0]).mean(), rel=0.1)


def test_a_search_without_an_effect_stays_within_what_chance_allows():
    random, above = np.random.default_rng(5), 0
    for _ in range(200):
        scores = equal_trials(random, 8)
        means = scores.mean(axis=0)
        above += means.max() - means[0] > chance_gains(scores, resamples=200)[-1].interval.high
    assert above <= 15  # 2.5 % of 200 are 5; more than 15 have a chance below 1 in 10,000


def test_a_real_effect_is_above_chance():
    scores = equal_trials(np.random.default_rng(5), 8)
    scores[:, 3] += 0.1
    gain = scores.mean(axis=0).max() - scores.mean(axis=0)[0]
    assert gain > 2 * chance_gains(scores)[-1].interval.high
