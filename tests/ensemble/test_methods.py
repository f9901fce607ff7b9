"""Consensus is what brute force says; no blend invents, loses or writes anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.ensemble import SPACE, WORDS, pool_of
from yoyak.ensemble.candidates import CandidateColumn, Lineage, align
from yoyak.ensemble.methods import METHODS, ensemble_inputs, run_method
from yoyak.errors import BadData, UsageError
from yoyak.values import Prediction

COLUMNS = st.integers(1, 5).flatmap(
    lambda rows: st.lists(st.lists(WORDS, min_size=rows, max_size=rows), min_size=1, max_size=4)
)


@pytest.mark.parametrize("method", METHODS)
@given(columns=COLUMNS, seed=st.integers(0, 5))
def test_ids_are_never_invented_or_lost_and_texts_are_candidates(method, columns, seed):
    pool = pool_of(*columns)
    answer = run_method(method, ensemble_inputs(pool, definition=SPACE, seed=seed))
    assert tuple(one.id for one in answer.predictions) == pool.ids
    for one, texts in zip(answer.predictions, pool.texts, strict=True):
        assert one.text in texts
    assert answer == run_method(method, ensemble_inputs(pool, definition=SPACE, seed=seed))


def test_systems_without_votes_are_not_chosen():
    pool = pool_of(["비 눈 해 달 별 강"], ["비"], ["비 눈"])
    for method in METHODS:
        answer = run_method(
            method, ensemble_inputs(pool, votes={"s1": 1.0, "s2": 1.0}, definition=SPACE)
        )
        assert answer.members == ("s1", "s2")
        assert answer.predictions[0].text != "비 눈 해 달 별 강"


def test_random_depends_on_the_id_and_not_on_the_other_rows():
    columns = [[f"{name} {row}" for row in range(30)] for name in "가나다"]
    whole = run_method("random", ensemble_inputs(pool_of(*columns))).predictions
    part = run_method(
        "random", ensemble_inputs(pool_of(*(column[:10] for column in columns)))
    ).predictions
    assert whole[:10] == part
    assert {one.text[0] for one in whole} == set("가나다")


def test_unknown_blends_and_members_are_named():
    pool = pool_of(["비"], ["눈"])
    with pytest.raises(UsageError, match=r"no ensemble method 'meen'.*mbr"):
        run_method("meen", ensemble_inputs(pool))
    with pytest.raises(UsageError, match=r"kobrat.*s0, s1"):
        run_method("mbr", ensemble_inputs(pool, votes={"kobrat": 1.0}))


def test_a_blend_from_outside_the_package_is_found_by_name():
    pool = pool_of(["비", "눈"], ["눈", "비"])
    assert (
        run_method("yoyak.ensemble.methods:best", ensemble_inputs(pool)).predictions
        == pool.columns[0].predictions
    )


def test_a_column_must_answer_every_dialogue_once():
    one = Prediction(id="test_0", text="비", raw="비")
    with pytest.raises(BadData, match=r"1 predictions for 2 rows.*test_1"):
        align(["test_0", "test_1"], [CandidateColumn(Lineage(system="a", decode="g"), (one,))])
    with pytest.raises(BadData, match="2 predictions for 1 rows"):
        align(["test_0"], [CandidateColumn(Lineage(system="a", decode="g"), (one, one))])
    column = CandidateColumn(Lineage(system="a", decode="g"), (one,))
    with pytest.raises(BadData, match="twice"):
        align(["test_0"], [column, column])
