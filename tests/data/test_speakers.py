"""Names of speakers become tags in order of appearance, and only where all of a table has names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.data.speakers import SpeakerTags, names_in, names_speakers, tag_names, tag_speakers

SAMSUM = "Amanda: I baked cookies. Do you want some?\r\nJerry: Sure!\r\nAmanda: Until tomorrow :-)"


def test_tags_are_numbered_by_first_appearance():
    tagged = tag_speakers(SAMSUM)
    assert tagged.text.split("\n") == [
        "#Person1#: I baked cookies. Do you want some?",
        "#Person2#: Sure!",
        "#Person1#: Until tomorrow :-)",
    ]
    assert tagged.by_name == {"Amanda": "#Person1#", "Jerry": "#Person2#"}


def test_a_line_without_a_name_stays_with_the_turn_before_it():
    assert tag_speakers("지수: 하나\n그리고 둘").text == "#Person1#: 하나\n그리고 둘"


@pytest.mark.parametrize(
    ("dialogues", "named"),
    [
        ([SAMSUM, "지수：안녕\n민호: 응"], True),
        ([SAMSUM, "#Person1#: 안녕\n#Person2#: 응"], False),
        (["여보세요?", SAMSUM], False),
        (["<file_gif>", *[SAMSUM] * 19], True),
        (["12:30 버스", "https://x.y: z"], False),
        (["지수: 하나\n둘\n셋\n넷"], False),
        ([], False),
    ],
)
def test_names_are_recognised_by_the_whole_table(dialogues, named):
    assert names_speakers(dialogues) is named


def test_names_become_tags_where_they_are_words():
    by_name = {
        "민호": "#Person1#",
        "민호수": "#Person2#",
        "SD2000001": "#Person3#",
        "Al": "#Person4#",
    }
    text = "민호가 민호수에게, SD2000001은 Al에게 Also 민호성을 말합니다. SD20000012"
    assert tag_names(text, by_name) == (
        "#Person1#가 #Person2#에게, #Person3#은 #Person4#에게 Also 민호성을 말합니다. SD20000012"
    )
    assert names_in("민호입니다", {"민호": "#Person1#"}) is False
    assert names_in("민호는", {"민호": "#Person1#"})
    assert tag_names("그대로", {}) == "그대로"


@given(st.lists(st.text("가나다abc ", min_size=1, max_size=5).filter(str.strip), max_size=8))
def test_equal_names_have_equal_tags_and_unlike_names_unlike_tags(names):
    tags = SpeakerTags()
    given_out = [tags.tag(name) for name in names]
    stripped = [name.strip() for name in names]
    assert len(set(given_out)) == len(set(stripped))
    assert len(set(zip(stripped, given_out, strict=True))) == len(set(stripped))
    assert list(dict.fromkeys(given_out)) == [f"#Person{n + 1}#" for n in range(len(set(stripped)))]
