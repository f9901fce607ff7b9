"""Each kind of fault is found at its place, and what the dialogue says in other words is not."""

from yoyak.metrics.diagnostics.error_types import (
    FINDERS,
    ErrorType,
    SummaryItem,
    rows_with,
    usual_registers,
)
from yoyak.metrics.diagnostics.text_patterns import Register

DIALOGUE = (
    "#Person1#: 수민 씨, 회의가 세 시 맞죠? Anna도 와요?\n"
    "#Person2#: 네, 스무 명쯤 오고 예산은 3만 5천 원, 12,000원씩 나눠요. 전화는 #PhoneNumber#예요."
)


def spans(fault, text, references=(), registers=frozenset()):
    item = SummaryItem(text=text, dialogue=DIALOGUE, references=references, registers=registers)
    return [span.text for span in FINDERS[fault](item)]


def test_without_a_dialogue_nothing_can_be_called_invented():
    item = SummaryItem(text="Brian은 #Person9#와 77번 만난다.")
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
        {"a": SummaryItem(text=" \n"), "b": SummaryItem(text="말한다.")}, (ErrorType.EMPTY,)
    ) == {ErrorType.EMPTY: ("a",)}
