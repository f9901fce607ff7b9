"""What is seen in a text alone, sentence by sentence, with the place where it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.metrics.diagnostics import text_patterns
from yoyak.metrics.diagnostics.text_patterns import Register

TEXTS = st.text(
    st.sampled_from(list("가나다요함.!? \n#12Person\0日Яa’\ud800")), max_size=80
) | st.text(max_size=60)


def texts_of(spans):
    return [span.text for span in spans]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("#Person1#은 간다.", []),
        ("#Email#과 #Person2#", []),
        ("Person1은 간다.", ["Person1"]),
        ("#Person1은 간다.", ["#Person1"]),
        ("#Person 1#은 간다.", ["#Person 1#"]),
        ("Person1#은 #Person2#를 만난다.", ["Person1#"]),
        ("화자1은 간다.", ["화자1"]),
        ("#해시 태그", ["#"]),
        ("PhoneNumber로 전화한다.", ["PhoneNumber"]),
        ("Personnel 1명이 간다.", []),
    ],
)
def test_broken_tags_are_found(text, found):
    assert texts_of(text_patterns.malformed_tags(text)) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Kim은 K-pop을 듣는다.", []),
        ("会議에 간다.", ["会議"]),
        ("ありがとう라고 한다.", ["ありがとう"]),
        ("Привет", ["Привет"]),
        ("สวัสดี", ["สวัสดี"]),
    ],
)
def test_foreign_scripts_are_found_and_latin_is_not_one(text, found):
    assert texts_of(text_patterns.foreign_script(text)) == found


def test_sentences_end_where_korean_ends_them():
    text = 'Ms. Lee는 3.5km를 걸었다. "좋아요."라고 했습니다! #Person1#은 쉰다'
    assert texts_of(text_patterns.sentences(text)) == [
        "Ms. Lee는 3.5km를 걸었다.",
        '"좋아요."라고 했습니다!',
        "#Person1#은 쉰다",
    ]


@pytest.mark.parametrize(
    ("sentence", "level"),
    [
        ("회의를 미룹니다.", Register.FORMAL),
        ("회의를 미룬다.", Register.PLAIN),
        ("회의를 미뤄요.", Register.POLITE),
        ("회의를 미뤄야 해.", Register.INTIMATE),
        ("회의를 미룸.", Register.NOUN),
        ("회의 연기 필요.", Register.NOUN),
        ("회의를 미룰 것", Register.NOUN),
        ("회의를 미루고", None),
        ("...", None),
    ],
)
def test_speech_levels_are_read_from_endings(sentence, level):
    assert text_patterns.register(sentence) is level


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("둘은 만난다.", None),
        ("둘은 만난다", None),
        ("둘은 만나기로 함", None),
        ('둘은 "좋다."', None),
        ("", None),
        ("둘은 만나서 밥을", "밥을"),
        ("둘은 만나기로 하고 #Person1#은", "#Person1#은"),
        ("둘은 만난다...", "만난다..."),
        ("둘은 만나서 이야기해", "이야기해"),
    ],
)
def test_unfinished_endings_are_found(text, word):
    found = text_patterns.unfinished(text)
    assert (found.text if found else None) == word


@pytest.mark.parametrize(
    ("text", "is_repetition"),
    [
        ("둘은 여행을 계획한다. 둘은 비행기를 예약한다.", False),
        ("1000000원을 낸다.", False),
        ("예약 예약 예약 예약 예약을 한다.", True),
        ("둘은 여행을 계획합니다. 둘은 여행을 계획합니다.", True),
        ("값을 깎아 달라 하고 값을 깎아 달라 하며 값을 깎아 달라 한다.", True),
        ("아" * 100_000, True),
    ],
)
def test_repetition_is_found(text, is_repetition):
    assert bool(text_patterns.repetition(text)) is is_repetition


def test_prompt_and_dialogue_said_back_are_found():
    dialogue = "#Person1#: 내일 몇 시에 출발할까요?\n#Person2#: 여섯 시요."
    assert texts_of(text_patterns.prompt_echo("<|im_start|>요약", dialogue)) == ["<|im_start|>"]
    assert texts_of(text_patterns.prompt_echo(f"{dialogue} 끝.", dialogue)) == [
        dialogue.split("\n", maxsplit=1)[0]
    ]
    assert text_patterns.prompt_echo("#Person2#는 여섯 시를 말한다.", dialogue) == ()


@given(TEXTS)
def test_swapping_speakers_twice_is_the_text(text):
    assert text_patterns.swap_speakers(text_patterns.swap_speakers(text)) == text


@given(TEXTS)
def test_every_span_points_at_its_text(text):
    finders = (
        text_patterns.malformed_tags,
        text_patterns.foreign_script,
        text_patterns.repetition,
        text_patterns.speaker_spans,
        lambda given: tuple(text_patterns.sentences(given)),
        lambda given: text_patterns.prompt_echo(given, given),
    )
    for finder in finders:
        for span in finder(text):
            assert text[span.start : span.end] == span.text != ""
