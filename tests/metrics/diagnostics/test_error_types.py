"""Each kind of fault is found at its place, and what the dialogue says in other words is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.metrics.diagnostics import numbers
from yoyak.metrics.diagnostics.error_types import (
    FINDERS,
    ErrorType,
    JudgedItem,
    rows_with,
    usual_registers,
)
from yoyak.metrics.diagnostics.text_patterns import Register

DIALOGUE = (
    "#Person1#: 수민 씨, 회의가 세 시 맞죠? Anna도 와요?\n"
    "#Person2#: 네, 스무 명쯤 오고 예산은 3만 5천 원, 12,000원씩 나눠요. 전화는 #PhoneNumber#예요."
)


def spans(fault, text, references=(), registers=frozenset()):
    item = JudgedItem(text=text, dialogue=DIALOGUE, references=references, registers=registers)
    return [span.text for span in FINDERS[fault](item)]


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
    assert spans(ErrorType.INVENTED_NUMBER, text) == found


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
    assert spans(ErrorType.INVENTED_NAME, text) == found


def test_without_a_dialogue_nothing_can_be_called_invented():
    item = JudgedItem(text="Brian은 #Person9#와 77번 만난다.")
    unknown = (ErrorType.INVENTED_NAME, ErrorType.INVENTED_NUMBER, ErrorType.UNKNOWN_SPEAKER)
    assert [FINDERS[fault](item) for fault in unknown] == [(), (), ()]


def test_speakers_that_the_dialogue_lacks():
    assert spans(ErrorType.UNKNOWN_SPEAKER, "#Person3#은 #Person1#을 본다.") == ["#Person3#"]


def test_speech_levels_unlike_the_references():
    usual = usual_registers(["회의를 한다. 끝냈다.", "회의를 합니다."])
    assert usual == {Register.PLAIN, Register.FORMAL}
    found = spans(ErrorType.REGISTER, "회의를 해요. 모두 모인다.", ("모두 모인다.",), usual)
    assert found == ["회의를 해요."]
    mixed = spans(ErrorType.REGISTER, "회의를 합니다. 모두 모인다.", ("모두 모인다.",), usual)
    assert mixed == ["모두 모인다."]
    assert spans(ErrorType.REGISTER, "회의를 합니다. 모두 모입니다.", ("모인다.",), usual) == []


def test_empty_means_without_a_visible_character():
    assert rows_with(
        {"a": JudgedItem(text=" \n"), "b": JudgedItem(text="말한다.")}, (ErrorType.EMPTY,)
    ) == {ErrorType.EMPTY: ("a",)}


@pytest.mark.parametrize(
    ("number", "reading"),
    [
        (1, "일"), (10, "십"), (15, "십오"), (105, "백오"), (1234, "천이백삼십사"),
        (10_000, "만"), (35_000, "삼만오천"), (2_0250_000, "이천이십오만"), (10**8, "일억"),
    ],
)  # fmt: skip
def test_sino_korean_readings(number, reading):
    assert numbers.sino_korean(number) == reading


def test_native_readings_and_mixed_forms():
    assert {"스물", "스무"} <= set(numbers.spellings("20"))
    assert {"스물세", "스물셋"} <= set(numbers.spellings("23"))
    assert "3만" in numbers.spellings("30000")
    assert numbers.spellings("0") == ()


@given(st.text(alphabet="0123456789", min_size=1, max_size=40))
def test_any_digits_can_be_spelled_or_not(digits):
    assert all(numbers.spellings(digits))
