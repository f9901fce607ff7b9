"""Rewards against the judge, in this process and in workers."""

import itertools
import os
import signal
from multiprocessing import active_children

import msgspec
import numpy as np  # noqa: TID253 -- the tests compute with it
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.config.schema import AlignSettings
from yoyak.engine.alignment.rewards import (
    RewardPool,
    SampledGroup,
    group_rewards,
    length_distance,
    rewards,
)
from yoyak.errors import RunFailed
from yoyak.metrics.rouge import score_rows
from yoyak.metrics.scorecard import evaluate_texts

PLAIN = AlignSettings(method="mrt")
REFERENCES = (
    ("#Person1#은 #Person2#에게 도서관에서 책을 돌려주자고 제안합니다.", "둘은 도서관에 갑니다."),
    ("#Person1#은 병원 예약을 바꾸기로 했습니다.",),
)
TEXTS = ("#Person1#은 도서관에 갑니다.", "#Person2#는 병원 예약을 취소했습니다.")


def test_the_reward_is_the_score_card_of_each_row():
    weights = (0.2, 0.3, 0.5)
    found = rewards(TEXTS, REFERENCES, msgspec.structs.replace(PLAIN, rouge_weights=weights))
    card = evaluate_texts(dict(enumerate_ids(TEXTS)), dict(enumerate_ids(REFERENCES)))
    for value, row in zip(found, card.rows, strict=True):
        parts = (row.rouge.rouge1, row.rouge.rouge2, row.rouge.rougeL)
        judged = sum(weight * part for weight, part in zip(weights, parts, strict=True))
        assert value == pytest.approx(judged)


def enumerate_ids(values):
    return ((str(place), value) for place, value in enumerate(values))


@given(st.lists(st.sampled_from(["#Person1#", "#Person2#", "#", "."]), max_size=12))
def test_tags_alone_are_paid_nothing(pieces):
    text = " ".join(pieces)
    (found,) = rewards([text], [("#Person1#은 #Person2#에게 전화합니다",)], PLAIN)
    assert found == 0.0


def test_tags_beside_words_are_paid_as_the_judge_does():
    (found,) = rewards([TEXTS[0]], [REFERENCES[0]], PLAIN)
    assert found == pytest.approx(score_rows([TEXTS[0]], [REFERENCES[0]])[0, :, 2].mean())


def test_length_costs_on_both_sides():
    settings = msgspec.structs.replace(PLAIN, length_penalty=0.5)
    reference = REFERENCES[1][0]
    (own,) = rewards([reference], [(reference,)], settings)
    assert own == pytest.approx(1.0)
    for text in (reference[:10], f"{reference} {reference}"):
        (distance,) = length_distance([text], [(reference,)])
        (paid,) = rewards([text], [(reference,)], settings)
        (unpaid,) = rewards([text], [(reference,)], PLAIN)
        assert distance > 0.3
        assert paid == pytest.approx(unpaid - 0.5 * distance)


def test_mbr_utility_is_the_mean_score_against_the_other_samples():
    settings = msgspec.structs.replace(PLAIN, method="dpo", rank_by="mbr")
    texts = (*TEXTS, REFERENCES[1][0])
    (found,) = group_rewards([SampledGroup(texts, ())], settings)
    pairs = {
        (ours, theirs): score_rows([texts[ours]], [(texts[theirs],)])[0, :, 2].mean()
        for ours, theirs in itertools.permutations(range(3), 2)
    }
    expected = [
        np.mean([pairs[ours, each] for each in range(3) if each != ours]) for ours in range(3)
    ]
    assert found == pytest.approx(expected)


@pytest.mark.process
def test_workers_compute_the_same_and_a_killed_one_is_named():
    groups = [
        SampledGroup((text, "둘은 갑니다."), theirs)
        for text, theirs in zip(TEXTS, REFERENCES, strict=True)
    ]
    with RewardPool(PLAIN) as pool:
        found = pool.result(pool.submit(groups))
        assert found == pytest.approx(group_rewards(groups, PLAIN))
        assert pool.waited_seconds > 0
        for process in active_children():
            os.kill(process.pid, signal.SIGTERM)  # goes to the whole group when a run is stopped
        assert pool.result(pool.submit(groups)).shape == (2, 2)
        for process in active_children():
            os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(RunFailed, match="killed"):
            compute_until_noticed(pool, groups)


def compute_until_noticed(pool, groups):
    """Ask again and again: the pool takes a moment to see that its workers are gone."""
    for _ in range(1_000):
        pool.result(pool.submit(groups))
