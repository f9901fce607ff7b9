"""Folds of train that keep near-duplicates together."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.data.folds import assign_folds, duplicate_groups
from yoyak.data.near_duplicates import letters_of
from yoyak.errors import BadData
from yoyak.values import Dialogue, Turn

WORDS = [
    "회의",
    "시간",
    "점심",
    "학교",
    "병원",
    "내일",
    "예약",
    "전화",
    "영화",
    "날씨",
    "주말",
    "여행",
    "시험",
    "운동",
    "가족",
    "친구",
    "버스",
    "사진",
]


def dialogue(number, words):
    turns = tuple(
        Turn(speaker=f"#Person{1 + at % 2}#", text=" ".join(words[at::3])) for at in range(3)
    )
    return Dialogue(id=f"train_{number}", turns=turns, references=("요약.",))


def corpus(seed, rows=24, twins=6):
    """Rows of random words, and some of them again with the speakers exchanged."""
    import random

    draw = random.Random(seed)
    texts = [[draw.choice(WORDS) + str(draw.randrange(99)) for _ in range(24)] for _ in range(rows)]
    found = [dialogue(at, words) for at, words in enumerate(texts)]
    for at in range(twins):
        twin = dialogue(100 + at, [*texts[at][:-1], "끝"])
        found.append(twin)
    draw.shuffle(found)
    return found


@given(st.integers(0, 50), st.integers(2, 6))
def test_twins_are_in_one_fold_and_folds_are_of_one_size(seed, folds):
    from rapidfuzz.distance.Indel import normalized_similarity

    rows = corpus(seed)
    found = assign_folds(rows, folds, 42)
    letters = [letters_of(row.text) for row in rows]
    for one, other in combinations(range(len(rows)), 2):  # every pair, where the search has hashes
        if normalized_similarity(letters[one], letters[other]) >= 0.8:
            assert found[one] == found[other]
    sizes = [found.count(fold) for fold in range(1, folds + 1)]
    assert sum(sizes) == len(rows)
    assert max(sizes) - min(sizes) <= 2, "no group has more than two rows here"


def test_folds_do_not_depend_on_the_order_of_rows_but_on_the_seed():
    rows = corpus(1)
    by_id = dict(zip((row.id for row in rows), assign_folds(rows, 4, 42), strict=True))
    other = rows[::-1]
    assert dict(zip((row.id for row in other), assign_folds(other, 4, 42), strict=True)) == by_id
    again = dict(zip((row.id for row in rows), assign_folds(rows, 4, 7), strict=True))
    assert again != by_id


def test_a_chain_of_near_duplicates_is_one_group():
    words = [f"{word}{number}" for number in range(4) for word in WORDS]
    step = len(words) // 8
    chain = [
        words,
        [*words[step:], *(["가나다라"] * step)],
        [*words[2 * step :], *(["가나다라"] * 2 * step)],
    ]
    rows = tuple(dialogue(at, each) for at, each in enumerate(chain))
    assert duplicate_groups(rows) == [[0, 1, 2]]


def test_more_folds_than_groups_are_refused():
    twin = dialogue(1, WORDS)
    rows = [twin, dialogue(2, WORDS)]
    with pytest.raises(BadData, match="near-duplicates stay together"):
        assign_folds(rows, 2, 42)
