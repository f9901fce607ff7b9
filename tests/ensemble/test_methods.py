"""Consensus is what brute force says; no blend invents, loses or writes anything."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.ensemble.candidates import CandidateColumn, Lineage, align
from yoyak.ensemble.methods import EQUAL, METHODS, ensemble_inputs, run_method
from yoyak.errors import BadData, UsageError
from yoyak.metrics.protocol import Definition
from yoyak.metrics.rouge import score_rows
from yoyak.values import Prediction

SPACE = Definition(analyser="space")  # words are what stands between blanks: quick and plain
WORDS = st.lists(st.sampled_from(["비", "눈", "해", "달", "별", "강", "산"]), max_size=6).map(
    " ".join
)


def pool_of(*columns, systems=None):
    systems = systems or [f"s{at}" for at in range(len(columns))]
    ids = [f"test_{row}" for row in range(len(columns[0]))]
    return align(
        ids,
        [
            CandidateColumn(
                Lineage(system=system, decode=f"d{at}"),
                tuple(Prediction(id=i, text=t, raw=t) for i, t in zip(ids, texts, strict=True)),
            )
            for at, (system, texts) in enumerate(zip(systems, columns, strict=True))
        ],
    )


def brute_force(texts, votes, components) -> str:
    """Expected ROUGE written out: every candidate against a list with each other's votes."""
    best, chosen = -1.0, ""
    for at, hypothesis in enumerate(texts):
        if not votes[at]:
            continue
        others = [
            text
            for place, (text, times) in enumerate(zip(texts, votes, strict=True))
            for _ in range(times - (place == at))
        ]
        scores = [score_rows([hypothesis], [(other,)], SPACE)[0, :, 2] for other in others]
        means = [
            sum(weight * f1 for weight, f1 in zip(components, row, strict=True)) / sum(components)
            for row in scores
        ]
        value = sum(means) / len(means) if means else 0.0
        if value > best + 1e-12:
            best, chosen = value, hypothesis
    return chosen


@given(
    texts=st.lists(WORDS, min_size=1, max_size=5),
    data=st.data(),
    components=st.sampled_from([EQUAL, (1.0, 2.0, 1.0), (0.0, 1.0, 3.0)]),
)
def test_consensus_equals_brute_force(texts, data, components):
    count = len(texts)
    votes = data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count).filter(any))
    pool = pool_of(*([text] for text in texts))
    named = dict(zip(pool.systems, map(float, votes), strict=True))
    cast = ensemble_inputs(pool, votes=named, components=components, definition=SPACE)
    [answer] = run_method("mbr", cast).predictions
    assert answer.text == brute_force(texts, votes, components)


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


@given(st.lists(WORDS, min_size=2, max_size=2))
def test_two_candidates_are_always_a_tie_and_the_first_wins(texts):
    pool = pool_of(*([text] for text in texts))
    [answer] = run_method("mbr", ensemble_inputs(pool, definition=SPACE)).predictions
    assert answer.text == texts[0]


def test_ties_go_to_the_first_system_in_whatever_order_the_columns_are():
    texts = ["비 눈", "해 달", "별 강"]  # nothing in common: all expected scores are zero
    for order in itertools.permutations(texts):
        [answer] = run_method(
            "mbr", ensemble_inputs(pool_of(*([t] for t in order)), definition=SPACE)
        ).predictions
        assert answer.text == order[0]


def test_the_odd_one_out_is_not_chosen_and_repetition_counts_as_agreement():
    pool = pool_of(["강 산 강 산"], ["비 눈 해"], ["비 눈 달"])
    assert (
        run_method("mbr", ensemble_inputs(pool, definition=SPACE)).predictions[0].text == "비 눈 해"
    )
    assert (
        run_method("vote", ensemble_inputs(pool, definition=SPACE)).predictions[0].text
        == "비 눈 해"
    )


def test_a_system_with_four_decodes_has_one_systems_votes():
    # Four near-copies from one system against two agreeing systems.
    columns = [["비 눈"]] * 2 + [["비 눈 강"]] * 2 + [["해 달 별"], ["해 달 산"], ["해 달 길"]]
    pool = pool_of(*columns, systems=["a", "a", "a", "a", "b", "c", "d"])
    assert (
        run_method("mbr", ensemble_inputs(pool, definition=SPACE)).predictions[0].text == "해 달 별"
    )


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
    with pytest.raises(UsageError, match=r"no blend 'meen'.*mbr"):
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
