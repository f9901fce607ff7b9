"""Near-duplicates: against comparing every pair, on texts with a known number of edits."""

import random
from itertools import combinations

import pytest

from yoyak.data.near_duplicates import find_near_duplicates, letters_of

WORDS = [one + other for one in "가나다라마바사아자차카타파하" for other in "강길논달물밤숲집"]


def dialogue(random_: random.Random, turns: int = 10) -> str:
    lines = (
        f"#Person{turn % 2 + 1}#: {' '.join(random_.choices(WORDS, k=8))}." for turn in range(turns)
    )
    return "\n".join(lines)


def edited(text: str, share: float, random_: random.Random) -> str:
    return "".join(random_.choice("가나다라") if random_.random() < share else c for c in text)


def test_equal_words_are_equal_whatever_tags_and_punctuation_say():
    one = "#Person1#: 비가 와요?\n#Person2#: 네, 많이 와요."
    swapped = "#Person2#: 비가  와요\n#Person1#: 네 많이 와요!"
    assert find_near_duplicates([one, "#Person1#: 다른 이야기입니다.", swapped]) == ((0, 2, 1.0),)


def test_equal_texts_are_paired_with_the_first_one():
    text = "#Person1#: 같은 말을 여러 번 합니다."
    assert [(pair.first, pair.second) for pair in find_near_duplicates([text] * 4)] == [
        (0, 1),
        (0, 2),
        (0, 3),
    ]


def test_short_and_empty_texts_are_compared_as_wholes():
    assert find_near_duplicates(["네", "네.", "", "아니요"]) == ((0, 1, 1.0),)


def test_nearly_all_that_comparing_every_pair_finds_is_found():
    from rapidfuzz.distance.Indel import normalized_similarity

    random_ = random.Random(3)
    originals = [dialogue(random_) for _ in range(60)]
    copies = [edited(text, random_.uniform(0, 0.08), random_) for text in originals]
    texts = originals + copies
    letters = [letters_of(text) for text in texts]
    every = {
        pair
        for pair in combinations(range(len(texts)), 2)
        if normalized_similarity(letters[pair[0]], letters[pair[1]]) >= 0.8
    }
    found = {(pair.first, pair.second) for pair in find_near_duplicates(texts, threshold=0.8)}
    assert found <= every
    assert len(every) > 40
    assert len(found) >= 0.95 * len(every)


def test_unlike_dialogues_with_one_common_phrase_are_no_twins():
    random_ = random.Random(5)
    texts = ["무엇을 도와드릴까요 고객님 " + dialogue(random_) for _ in range(100)]
    assert find_near_duplicates(texts) == ()


@pytest.mark.timeout(300)
def test_many_texts_are_compared_in_seconds_not_in_their_square():
    """4,000 texts have 8 million pairs, which are not all compared."""
    random_ = random.Random(7)
    texts = [dialogue(random_, turns=5) for _ in range(4000)]
    texts.append(edited(texts[17], 0.02, random_))
    assert [(pair.first, pair.second) for pair in find_near_duplicates(texts)] == [(17, 4000)]
