"""The clean-up: what each rule does, that it can be repeated, and what it must never touch."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.data.clean import RULES, clean, summary_of

PIECES = [
    "#Person1#", "#Person2#", "#Email#", "#", ":", "：", ";", "-", "|", " ", "  ", "\n", "\r\n",
    "\r", "\t", "\u3000", "\u00a0", "\u200b", "\u2028", "\x1c", "\\", "n", "r", "\\n", "<br>",
    "<b", "r>", "/", "<br />", "안녕", "\u1112\u1161\u11ab", "ㅋㅋ", ".", "Person1", "\u0301",
    "\x00",
]  # fmt: skip
noisy = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)

CASES = [
    ("invisible", "#Person1#: 안\u200b녕\ufeff", "#Person1#: 안녕"),
    ("nfc", "#Person1#: \u1112\u1161\u11ab글", "#Person1#: 한글"),
    ("line-end", "#Person1#: 네\r\n#Person2#: 응", "#Person1#: 네\n#Person2#: 응"),
    ("literal-newline", r"#Person1#: 네\n#Person2#: 응", "#Person1#: 네\n#Person2#: 응"),
    ("literal-newline", r"#Person1#: 네\r\n#Person2#: 응", "#Person1#: 네\n#Person2#: 응"),
    ("html-break", "#Person1#: 네<br>#Person2#: 응<BR/>", "#Person1#: 네\n#Person2#: 응"),
    ("blanks", "#Person1#: 잠깐만  기다려\u3000줘", "#Person1#: 잠깐만 기다려 줘"),
    ("speaker-separator", "#Person1#： 네\n#Person2# - 응", "#Person1#: 네\n#Person2#: 응"),
    ("speaker-separator", "#Person1#:네\n#Person2# : 응", "#Person1#: 네\n#Person2#: 응"),
    ("speaker-inside-line", "#Person1#: 갈까? #Person2#: 응", "#Person1#: 갈까?\n#Person2#: 응"),
    ("edge-blanks", "#Person1#: 네 \n #Person2#: 응 ", "#Person1#: 네\n#Person2#: 응"),
    ("blank-lines", "\n#Person1#: 네\n\n\n#Person2#: 응\n", "#Person1#: 네\n#Person2#: 응"),
    ("empty-turn", "#Person1#:\n#Person2#: 응\n#Person1#: \n#Person3#:", "#Person2#: 응"),
    ("continued-line", "#Person1#: 하나,\n둘,\n셋", "#Person1#: 하나, 둘, 셋"),
    ("continued-line", "#Person1#:\n안녕", "#Person1#: 안녕"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "before", "after"), CASES)
def test_each_rule_does_what_it_says_and_is_counted(rule: str, before: str, after: str) -> None:
    cleaned = clean(before)
    assert cleaned.text == after
    assert cleaned.counts[rule] >= 1


def test_every_rule_has_a_case() -> None:
    assert {rule.name for rule in RULES} == {rule for rule, _, _ in CASES}


@pytest.mark.parametrize(
    "text",
    [
        "#Person1#: ㅋㅋㅋ 진짜? 어떻해...\n#Person2#: ㅠㅠ 나도 몰랏어",
        "#Person1#: #PhoneNumber#로 전화 줘.\n#Person2#: #Person1# 씨, 잠시만요.",
        "#Person1#: 👩\u200d👧 보여?\n#Person2#: 응, café에서 봤어.",
        "#Person1#: #Person2#-#Person3# 둘 다 와?\n#Person2#: 9:30에 봐.",
    ],
)
def test_what_people_wrote_stays(text: str) -> None:
    assert clean(text) == (text, {})


@given(noisy)
def test_a_second_cleaning_changes_nothing(text: str) -> None:
    once = clean(text)
    assert clean(once.text) == (once.text, {})


@given(st.text())
def test_a_second_cleaning_changes_nothing_in_any_text(text: str) -> None:
    once = clean(text)
    assert clean(once.text) == (once.text, {})


@given(noisy)
def test_what_changed_is_counted(text: str) -> None:
    cleaned = clean(text)
    assert (cleaned.text != text) == bool(cleaned.counts)


@given(st.text(st.characters(exclude_categories=("C", "Z"))), st.booleans())
def test_a_clean_summary_comes_back_unchanged(text: str, tags_are_tokens: bool) -> None:
    composed = unicodedata.normalize("NFC", text)
    assert summary_of(text, tags_are_tokens=tags_are_tokens) == composed


@given(st.text(), st.booleans())
def test_a_summary_is_one_line_without_blank_ends(text: str, tags_are_tokens: bool) -> None:
    summary = summary_of(text, tags_are_tokens=tags_are_tokens)
    assert summary == summary.strip()
    assert len(summary.splitlines()) <= 1


@pytest.mark.parametrize(
    ("decoded", "summary"),
    [
        (" #Person1# 은 #Person2# 에게서 빌립니다. \n", "#Person1#은 #Person2#에게서 빌립니다."),
        ("#Person1# 이(가) #Person2# 와의 일을 미룸.", "#Person1#이(가) #Person2#와의 일을 미룸."),
        ("#Person1# , #Person2# 모두 갑니다.", "#Person1#, #Person2# 모두 갑니다."),
        ("연락처는 #PhoneNumber# .", "연락처는 #PhoneNumber#."),
    ],
)  # fmt: skip
def test_the_blank_that_tag_tokens_leave_is_taken_out(decoded: str, summary: str) -> None:
    assert summary_of(decoded, tags_are_tokens=True) == summary
    assert summary_of(summary, tags_are_tokens=True) == summary


def test_without_tag_tokens_the_blank_is_the_models_own() -> None:
    assert summary_of("#Person1# 은 갑니다.") == "#Person1# 은 갑니다."


def test_lines_of_a_summary_are_joined() -> None:
    assert (
        summary_of("  첫째 문장입니다.\n\n 둘째 문장입니다. ")
        == "첫째 문장입니다. 둘째 문장입니다."
    )


@pytest.mark.parametrize(
    "piece",
    ["\\", "\\r", "#Person1#", "#Person1#:\n", "#Person1# \n", " \n", "<br", "#a", "은#Person1# "],
)  # fmt: skip
@pytest.mark.timeout(120)
def test_time_grows_with_length_only(piece: str) -> None:
    """Ends at all: a rule that looked back and forth would take many minutes for this text."""
    text = piece * (140_000 // len(piece))
    clean(text)
    summary_of(text, tags_are_tokens=True)


def test_half_a_character_is_left_out_of_a_summary():
    assert summary_of("#Person1#은 회의를 미룹니\ufffd\ufffd") == "#Person1#은 회의를 미룹니"
    assert summary_of("\ufffd") == ""
