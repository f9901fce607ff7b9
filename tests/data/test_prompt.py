"""The prompt: the same for every split, only what test has, and never cut where it matters."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.config.schema import PromptSettings
from yoyak.data.prompt import GAP, render
from yoyak.errors import BadRecipe
from yoyak.values import Dialogue, Message, Source, Turn

CHAT = PromptSettings(style="chat", system="요약가입니다.", instruction="한 문장으로 요약하세요.")
PLAIN = PromptSettings(style="source")
FIRST, LAST = Turn(speaker="#Person1#", text="처음"), Turn(speaker="#Person2#", text="마지막")
TEMPLATE_TOKENS = 7


def dialogue(*texts: str) -> Dialogue:
    turns = (Turn(speaker=f"#Person{n % 2 + 1}#", text=text) for n, text in enumerate(texts))
    return Dialogue(id="d", turns=tuple(turns))


def shown(source: Source) -> str:
    return source.text if source.text is not None else source.messages[-1].text


def characters(source: Source) -> int:
    """A tokenizer of one token a character, with a template around each message."""
    if source.text is not None:
        return len(source.text)
    return sum(TEMPLATE_TOKENS + len(message.text) for message in source.messages)


def limited(settings: PromptSettings, tokens: int) -> PromptSettings:
    return msgspec.structs.replace(settings, max_source_tokens=tokens)


def test_a_chat_prompt_is_system_then_instruction_and_dialogue():
    assert render(dialogue("비 와?", "응."), CHAT) == Source(
        id="d",
        messages=(
            Message(role="system", text="요약가입니다."),
            Message(
                role="user",
                text="한 문장으로 요약하세요.\n\n#Person1#: 비 와?\n#Person2#: 응.",
            ),
        ),
    )


def test_an_encoder_reads_the_dialogue_as_the_file_has_it():
    row = dialogue("비 와?", "응.")
    assert render(row, PLAIN) == Source(id="d", text=row.text)
    instructed = msgspec.structs.replace(PLAIN, instruction="요약:")
    assert render(row, instructed).text == f"요약:\n{row.text}"


def test_without_a_system_text_there_is_no_system_message():
    settings = msgspec.structs.replace(CHAT, system="")
    assert [message.role for message in render(dialogue("네"), settings).messages] == ["user"]


class OnlyWhatTestHas:
    """No topic, no references: reading either would raise AttributeError."""

    id = "d"
    turns = (FIRST, LAST)


@pytest.mark.parametrize("settings", [CHAT, PLAIN])
def test_topic_and_references_cannot_get_in(settings):
    labelled = Dialogue(id="d", turns=(FIRST, LAST), references=("비밀 요약",), topic="비밀 주제")
    assert render(labelled, settings, count_tokens=characters) == render(
        OnlyWhatTestHas(), settings, count_tokens=characters
    )


def test_what_fits_is_whole():
    row = dialogue(*["하나", "둘", "셋"])
    whole = render(row, CHAT)
    assert render(row, limited(CHAT, characters(whole)), count_tokens=characters) == whole


def test_middle_turns_go_first_and_the_gap_is_marked():
    row = dialogue(*(f"{number}번 말" for number in range(20)))
    source = render(row, limited(PLAIN, 100), count_tokens=characters)
    lines = shown(source).split("\n")
    assert lines[0] == "#Person1#: 0번 말"
    assert lines[-1] == "#Person2#: 19번 말"
    assert lines.count(GAP) == 1
    assert len(lines) - 1 == 20 - source.turns_dropped
    kept = [row.turns.index(turn) for turn in row.turns if turn.line in lines]
    place = lines.index(GAP)
    assert kept == [*range(place), *range(20 - (len(lines) - 1 - place), 20)]


def test_no_turn_more_than_needed_is_dropped():
    row = dialogue(*(f"{number}번 말" for number in range(20)))
    limit = 100
    source = render(row, limited(PLAIN, limit), count_tokens=characters)
    assert characters(source) + len("\n#Person1#: 19번 말") > limit


def test_one_giant_turn_is_shortened_in_its_middle_and_the_rest_stays():
    row = dialogue("여보세요?", "처음" + "가" * 5000 + "끝", "네, 알겠습니다.", "끊을게요.")
    source = render(row, limited(CHAT, 200), count_tokens=characters)
    text = shown(source)
    assert source.turns_dropped == 0
    assert characters(source) == 200
    assert text.startswith("한 문장으로 요약하세요.\n\n#Person1#: 여보세요?\n#Person2#: 처음가")
    assert f"가 {GAP} 가" in text
    assert text.endswith("가끝\n#Person1#: 네, 알겠습니다.\n#Person2#: 끊을게요.")


def test_a_single_turn_of_100_000_characters_is_found_quickly():
    calls = []

    def counting(source: Source) -> int:
        calls.append(source)
        return characters(source)

    source = render(dialogue("가" * 100_000), limited(CHAT, 300), count_tokens=counting)
    assert characters(source) == 300
    assert len(calls) <= 20


def test_a_tag_is_never_cut_in_half():
    row = dialogue("나는 #PhoneNumber#로 #Address#에 간다. " * 40)
    for limit in range(60, 200):
        text = shown(render(row, limited(PLAIN, limit), count_tokens=characters))
        rest = text.replace("#Person1#", "").replace("#PhoneNumber#", "").replace("#Address#", "")
        assert "#" not in rest


def test_no_room_at_all_is_a_bad_recipe():
    with pytest.raises(BadRecipe, match=r"d: .* prompt.max_source_tokens is 20") as caught:
        render(dialogue("안녕하세요"), limited(CHAT, 20), count_tokens=characters)
    needed = caught.value.fields["suggested"]
    assert isinstance(needed, int)
    render(dialogue("안녕하세요"), limited(CHAT, needed), count_tokens=characters)


turn_texts = st.lists(
    st.text(st.sampled_from("가나 다.#Email"), max_size=80), min_size=1, max_size=25
)
SMALLEST = 110


@given(turn_texts, st.integers(SMALLEST, 1200), st.sampled_from([CHAT, PLAIN]))
def test_of_any_length_the_instruction_stays_whole_and_the_limit_holds(texts, limit, settings):
    row = dialogue(*texts)
    source = render(row, limited(settings, limit), count_tokens=characters)
    whole = render(row, settings)
    assert characters(source) <= limit
    assert source.messages[:-1] == whole.messages[:-1]
    assert shown(source).startswith(settings.instruction)
    assert (source == whole) == (characters(whole) <= limit)
    lines = shown(source).removeprefix(settings.instruction).strip("\n").split("\n")
    assert lines[0].startswith("#Person1#: ")
    assert lines[-1].startswith(row.turns[-1].speaker)
    if source.turns_dropped:
        assert GAP in lines


@given(turn_texts, st.integers(SMALLEST, 600), st.integers(0, 300))
def test_a_larger_limit_never_drops_more_turns(texts, limit, more):
    row = dialogue(*texts)
    small = render(row, limited(CHAT, limit), count_tokens=characters)
    large = render(row, limited(CHAT, limit + more), count_tokens=characters)
    assert large.turns_dropped <= small.turns_dropped


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "#Person1#: 비 와?\n#Person2#: #Person1#, 응."),
        ({"turn_format": "numbered"}, "1. #Person1#: 비 와?\n2. #Person2#: #Person1#, 응."),
        ({"turn_format": "spaced"}, "#Person1#: 비 와?\n\n#Person2#: #Person1#, 응."),
        ({"speaker_names": "words"}, "화자 1: 비 와?\n화자 2: 화자 1, 응."),
    ],
)
def test_turns_and_speakers_are_written_as_the_recipe_says(changes, expected):
    settings = msgspec.structs.replace(PLAIN, **changes)
    assert shown(render(dialogue("비 와?", "#Person1#, 응."), settings)) == expected
    chat = msgspec.structs.replace(CHAT, **changes)
    assert shown(render(dialogue("비 와?", "#Person1#, 응."), chat)).endswith(expected)
