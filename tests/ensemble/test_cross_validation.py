"""The held-out worth of a blend, on made-up systems whose truth is known."""

import random
from functools import partial

import numpy as np  # noqa: TID253 -- a test
import pytest

from yoyak.ensemble.candidates import CandidateColumn, Lineage, align
from yoyak.ensemble.cross_validation import cross_validate
from yoyak.ensemble.mbr import similarity
from yoyak.ensemble.member_selection import (
    COMPONENTS,
    DevScores,
    EnsembleConfig,
    best_column,
    select_members,
)
from yoyak.ensemble.methods import ensemble_inputs, run_method
from yoyak.metrics.protocol import Definition
from yoyak.metrics.rouge import score_rows
from yoyak.values import Prediction

SPACE = Definition(analyser="space")
WORDS = list("비눈해달별강산꽃길집문창벽책붓잔빵떡국밥")
ROWS = 120


def systems(shares, seed=1, names=None):
    """A field of systems that get ``share`` of the reference's words wrong, independently."""
    draw = random.Random(seed)
    truth = [draw.choices(WORDS, k=12) for _ in range(ROWS)]
    ids = [f"dev_{row}" for row in range(ROWS)]

    def said(share):
        for words in truth:
            yield " ".join(w if draw.random() >= share else draw.choice(WORDS) for w in words)

    names = names or [f"s{at}" for at in range(len(shares))]
    columns = [
        CandidateColumn(
            Lineage(system=name, decode=f"d{at}"),
            tuple(Prediction(id=i, text=t, raw=t) for i, t in zip(ids, said(share), strict=True)),
        )
        for at, (name, share) in enumerate(zip(names, shares, strict=True))
    ]
    pool = align(ids, columns)
    references = [(" ".join(words),) for words in truth]
    gains = [
        score_rows(list(texts), references, SPACE)[:, :, 2].mean(1)
        for texts in zip(*pool.texts, strict=True)
    ]
    return DevScores(pool, similarity(pool, SPACE), np.stack(gains, axis=1))


few = partial(cross_validate, repeats=3, resamples=1000)


@pytest.fixture(scope="module")
def equals():
    return systems([0.4] * 5)


def test_consensus_of_equal_independent_systems_is_proven_to_help(equals):
    nested = cross_validate(equals, repeats=5)
    assert nested.blend.proven
    assert nested.random < nested.single < nested.blend.mean < nested.oracle
    assert nested.halves_blended == 10
    assert nested.choice.column is None
    assert nested.choice.members == equals.pool.systems, "no three of five equals are as good"
    by_name = {control.name: control for control in nested.controls}
    assert by_name["random"].mean < nested.blend.mean
    assert by_name["longest"].mean < nested.blend.mean
    assert not by_name["random"].proven
    assert not nested.vote_over_blend.proven


def test_a_learned_set_has_at_most_three_members():
    # Three good systems, and three that would drag a consensus of all down.
    nested = few(systems([0.35, 0.35, 0.35, 0.8, 0.8, 0.8]))
    assert set(nested.choice.members) == {"s0", "s1", "s2"}


@pytest.mark.parametrize("shares", [[0.4] * 5, [0.3, 0.4, 0.4, 0.5, 0.5], [0.2, 0.7, 0.7]])
def test_what_learns_nothing_is_never_proven_better(shares):
    assert not few(systems(shares)).vote_over_blend.proven


def test_one_good_system_among_bad_ones_is_left_alone():
    nested = cross_validate(systems([0.1, 0.8, 0.8, 0.8]), repeats=5)
    assert nested.choice == EnsembleConfig(method="best", column="s0/d0")
    assert (nested.blend.difference, nested.halves_blended) == (0.0, 0)
    assert nested.members[0].system == "s0"
    assert nested.members[0].gain > 0.2


def test_a_gain_on_rows_that_were_learned_from_does_not_fool_the_held_out_figure():
    # Scores that have nothing to do with the texts: whatever is chosen is luck.
    field, fooled = systems([0.5] * 6), 0
    for seed in range(6):
        luck = DevScores(field.pool, similarity(field.pool, SPACE), field.gains)
        luck.gains = np.random.default_rng(seed).random(field.gains.shape)
        single = best_column(luck, luck.rows, luck.pool.systems)
        seen = luck.scores(select_members(luck, luck.rows)).mean() - luck.scores(single).mean()
        if seen > 0.01:
            fooled += 1
            nested = few(luck)
            assert not nested.blend.proven
            assert nested.blend.difference < seen / 2
    assert fooled


def test_no_gain_is_claimed_where_there_is_none():
    claims = 0
    for seed in range(12):
        field = systems([0.6] * 4, seed=seed)
        field.gains = np.random.default_rng(seed).random(field.gains.shape)
        claims += cross_validate(field, repeats=2, resamples=1000).blend.proven
    assert claims <= 1  # 2.5 % of 12 expected


def test_the_same_seed_gives_the_same_figures(equals):
    assert few(equals) == few(equals)
    assert few(equals) != few(equals, seed=7)


def test_a_choice_scores_what_its_blend_scores(equals):
    choice = EnsembleConfig(
        method="mbr", votes={"s1": 2.0, "s3": 1.0, "s4": 1.0}, components=COMPONENTS[2]
    )
    cast = ensemble_inputs(
        equals.pool, votes=choice.votes, components=choice.components, definition=SPACE
    )
    answer = run_method("mbr", cast).predictions
    for row, one in enumerate(answer):
        at = equals.pool.texts[row].index(one.text)
        assert equals.scores(choice)[row] == pytest.approx(equals.gains[row, at])


def test_a_gain_below_one_standard_error_does_not_move_the_best_column():
    # A team-mate's copy of the best system, worse on a few rows: nothing to gain from blending.
    nested = few(systems([0.3, 0.33, 0.36], seed=4), repeats=10)
    assert nested.blend.interval.high >= 0
    copies = systems([0.3, 0.3], seed=4)
    copies.gains[:, 1] = copies.gains[:, 0] - 0.02 * (copies.rows % 9 == 0)
    copied = few(copies, repeats=10)
    assert (copied.blend.difference, copied.halves_blended) == (0.0, 0)


def test_learning_looks_at_its_rows_only(equals):
    rows = equals.rows[:60]
    before = select_members(equals, rows)
    spoiled = DevScores(equals.pool, similarity(equals.pool, SPACE), equals.gains.copy())
    spoiled.gains[60:] = np.random.default_rng(0).random(spoiled.gains[60:].shape)
    assert select_members(spoiled, rows) == before


def test_two_decodes_of_one_system_are_one_member():
    field = systems([0.4, 0.4, 0.4, 0.4], names=["a", "a", "b", "c"])
    nested = cross_validate(field, repeats=3)
    assert {worth.system for worth in nested.members} == {"a", "b", "c"}
    assert len(nested.complementarity) == 3


def test_complementarity_is_symmetric_and_zero_with_oneself(equals):
    matrix = np.array(cross_validate(equals, repeats=1).complementarity)
    assert np.allclose(matrix, matrix.T)
    assert np.allclose(np.diag(matrix), 0)
    assert (matrix[~np.eye(5, dtype=bool)] > 0).all()


def test_a_single_system_is_its_own_answer():
    nested = cross_validate(systems([0.3]), repeats=2)
    assert nested.choice.column == "s0/d0"
    assert nested.single == pytest.approx(nested.oracle)
    assert nested.members == ()


def test_rounding_dust_is_no_gain():
    nested = cross_validate(systems([0.1, 0.8, 0.8]), repeats=25)
    assert nested.blend.difference == 0.0
    assert (nested.blend.interval.low, nested.blend.interval.high) == (0.0, 0.0)
    assert not nested.blend.proven
