"""Numbers and names count as invented only where the dialogue has them in no spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.metrics.diagnostics import entities

DIALOGUE = (
    "#Person1#: 수민 씨, 회의가 세 시 맞죠? Anna도 와요?\n"
    "#Person2#: 네, 스무 명쯤 오고 예산은 3만 5천 원, 12,000원씩 나눠요. 전화는 #PhoneNumber#예요."
)


def texts(spans):
    return [span.text for span in spans]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("3시에 20명이 모인다.", []),
        ("12000원을 낸다.", []),
        ("#Person1#과 #Person2#가 만난다.", []),
        ("9시에 모인다.", ["9"]),
        ("15,000원을 낸다.", ["15,000"]),
        ("0명이 온다.", ["0"]),
    ],
)
def test_numbers_that_the_dialogue_lacks(text, found):
    assert texts(entities.invented_numbers(text, DIALOGUE)) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Anna와 수민은 회의에 간다.", []),
        ("ANNA가 온다.", []),
        ("Mr. Anna가 온다.", []),
        ("Brian이 회의에 간다.", ["Brian"]),
        ("지난주 김철수와 회의했다.", ["김철수"]),
    ],
)
def test_names_that_the_dialogue_lacks(text, found):
    assert texts(entities.invented_names(text, DIALOGUE)) == found


@pytest.mark.parametrize(
    ("number", "reading"),
    [
        (1, "일"), (10, "십"), (15, "십오"), (105, "백오"), (1234, "천이백삼십사"),
        (10_000, "만"), (35_000, "삼만오천"), (2_0250_000, "이천이십오만"), (10**8, "일억"),
    ],
)  # fmt: skip
def test_sino_korean_readings(number, reading):
    assert entities.sino_korean(number) == reading


def test_native_readings_and_mixed_forms():
    assert {"스물", "스무"} <= set(entities.spellings("20"))
    assert {"스물세", "스물셋"} <= set(entities.spellings("23"))
    assert "3만" in entities.spellings("30000")
    assert entities.spellings("0") == ()


@given(st.text(alphabet="0123456789", min_size=1, max_size=40))
def test_any_digits_can_be_spelled_or_not(digits):
    assert all(entities.spellings(digits))
