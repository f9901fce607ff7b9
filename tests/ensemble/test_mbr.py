"""MBR is what brute force says, ties and votes included."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from support.ensemble import SPACE, WORDS, pool_of
from yoyak.ensemble.methods import EQUAL, ensemble_inputs, run_method
from yoyak.metrics.rouge import score_rows


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
