"""The profile ``rouge101`` against the pip package ``rouge`` 1.0.1 itself."""

import random
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge import Rouge

from yoyak.metrics import protocol, rouge, rouge_101

NAMES = ("rouge-1", "rouge-2", "rouge-l")


def package(hypothesis, reference):
    """The package's scores, or zeros where it raises because a side has no sentence."""
    try:
        found = Rouge().get_scores(hypothesis, reference)[0]
    except ValueError:
        return None
    return tuple((found[name]["p"], found[name]["r"], found[name]["f"]) for name in NAMES)


def ours(hypothesis, reference):
    return rouge_101.score(rouge_101.prepare(hypothesis), rouge_101.prepare(reference))


NOTHING = ((0.0, 0.0, 0.0),) * 3


def test_bit_identical_on_random_pairs(long):
    draw = random.Random(11)
    words = ["가", "나", "다", "라", ".", ".", "3.5", "..", "", " "]
    texts = [
        " ".join(draw.choices(words, k=draw.choice((0, 1, 1, 2, 4, 7))))
        for _ in range(40_000 if long else 4_000)
    ]
    for hypothesis, reference in zip(texts[::2], texts[1::2], strict=True):
        assert ours(hypothesis, reference) == (package(hypothesis, reference) or NOTHING)


@given(st.text(alphabet="abc .\n", max_size=60), st.text(alphabet="abc .\n", max_size=60))
def test_bit_identical_on_any_dots_and_blanks(hypothesis, reference):
    assert ours(hypothesis, reference) == (package(hypothesis, reference) or NOTHING)


@given(st.text(max_size=40), st.text(max_size=40))
def test_bit_identical_on_any_text(hypothesis, reference):
    assert ours(hypothesis, reference) == (package(hypothesis, reference) or NOTHING)


@pytest.mark.parametrize("text", ["", ".", "..."])
def test_where_the_package_raises_the_score_is_zero(text):
    assert package(text, "가 나") is None
    assert ours(text, "가 나") == ours("가 나", text) == NOTHING


def test_where_the_package_recurses_too_deep_the_score_is_what_it_would_have_been():
    draw = random.Random(5)
    hypothesis = " ".join(draw.choices("abcdefgh", k=600))
    reference = " ".join(draw.choices("abcdefgh", k=700))
    with pytest.raises(RecursionError):
        package(hypothesis, reference)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(5000)
    try:
        expected = package(hypothesis, reference)
    finally:
        sys.setrecursionlimit(limit)
    assert ours(hypothesis, reference) == expected


def test_a_long_sentence_takes_blocks_and_the_same_words():
    """Around the block length, where the table is computed anew from a kept row."""
    draw = random.Random(6)
    for length in (255, 256, 257, 512, 513):
        hypothesis = " ".join(draw.choices([str(n) for n in range(60)], k=40))
        reference = " ".join(draw.choices([str(n) for n in range(60)], k=length))
        assert ours(hypothesis, reference) == package(hypothesis, reference)


def test_the_set_of_words_ignores_repeats_and_the_order_of_sentences():
    shuffled = protocol.parse("rouge101,tok=space")
    found = rouge.score_rows(["다 라 . 가 나 ."], [("가 나 . 다 라 .",)], shuffled)
    assert found[0, 2, 2] == pytest.approx(1.0), "ROUGE-L does not see that sentences were swapped"
    official = protocol.parse("official,tok=space")
    assert rouge.score_rows(["다 라 . 가 나 ."], [("가 나 . 다 라 .",)], official)[0, 2, 2] == 0.5


def test_corpus_mean_is_the_packages_average():
    draw = random.Random(2)
    hypotheses = [" ".join(draw.choices("가나다라마.", k=9)) + " 끝" for _ in range(500)]
    references = [" ".join(draw.choices("가나다라마.", k=9)) + " 끝" for _ in range(500)]
    wish = protocol.parse("rouge101,tok=space")
    rows = rouge.score_rows(hypotheses, [(text,) for text in references], wish)
    expected = Rouge().get_scores(hypotheses, references, avg=True)
    found = rouge.corpus_mean(rows, wish)
    assert [tuple(found[metric]) for metric in range(3)] == [
        (expected[name]["p"], expected[name]["r"], expected[name]["f"]) for name in NAMES
    ]
