"""Runs that differ in their seed alone, and how far they scatter."""

import statistics

import pytest

from yoyak.config import load
from yoyak.runs.replicates import (
    SeedNoise,
    family_of,
    largest_by_seeds,
    pooled_deviation,
)


def recipe(*sets, name="kobart"):
    return load.resolve(name, sets=sets).recipe


@pytest.mark.parametrize(
    ("sets", "same"),
    [
        (["train.seed=7"], True),
        (["name=other"], True),
        (["decode.num_beams=5"], True),
        (["train.learning_rate=1e-4"], False),
        (["data.folds=2", "data.fold=1"], False),
        (["data.drop=['long-summary']"], False),
    ],
)
def test_a_family_is_all_but_seed_fold_and_name(sets, same):
    assert (family_of(recipe(*sets)) == family_of(recipe())) == same


def test_folds_of_one_number_are_a_family():
    one, two, other = (
        recipe(f"data.folds={folds}", f"data.fold={fold}")
        for folds, fold in ((3, 1), (3, 2), (4, 1))
    )
    assert family_of(one) == family_of(two) != family_of(other)


def noise(*means):
    names = tuple(f"r{at}" for at in range(len(means)))
    return SeedNoise(name="r", runs=names, means=means, protocol="p")


def test_the_deviation_is_pooled_over_trainings():
    one, other = noise(0.30, 0.31, 0.35), noise(0.50, 0.52)
    expected = ((2 * statistics.variance(one.means) + statistics.variance(other.means)) / 3) ** 0.5
    assert pooled_deviation([one, other]) == pytest.approx(expected)
    assert pooled_deviation([]) is None


def test_two_runs_of_one_training_differ_by_less_in_95_of_100_pairs():
    import numpy as np

    draw = np.random.default_rng(1)
    pairs = draw.normal(0.4, 0.01, size=(20_000, 2))
    apart = np.abs(pairs[:, 0] - pairs[:, 1])
    assert np.mean(apart < largest_by_seeds(0.01)) == pytest.approx(0.95, abs=0.01)
