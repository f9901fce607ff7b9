"""Text of models stays text, wherever it is shown."""

import re

from hypothesis import given
from hypothesis import strategies as st

from yoyak.report.render import escape

ESC = "\x1b"


def test_control_codes_and_direction_marks_are_gone():
    hostile = f"{ESC}]52;c;cGFzdGU=\x07{ESC}[31m빨강\x9b0m\u202eoob\u2069\x00"
    shown = escape.plain(hostile)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    assert "빨강" in shown


@given(st.text())
def test_plain_text_is_one_line_that_can_be_encoded_and_is_stable(text):
    shown = escape.plain(text)
    assert "\n" not in shown
    shown.encode()  # a lone surrogate would raise
    assert escape.plain(shown) == shown


def test_messages_keep_their_lines_and_lose_what_a_terminal_obeys():
    hostile = f"first{ESC}]0;title\x07\n  second\u202e"
    assert escape.printable(hostile) == "first]0;title\n  second"


def test_what_people_write_stays():
    assert escape.plain("#Person1#: 안녕 👩‍👩‍👧 漢字 ㅋㅋ") == "#Person1#: 안녕 👩‍👩‍👧 漢字 ㅋㅋ"


@given(st.text())
def test_markdown_loses_nothing_but_its_meaning(text):
    """Every backslash that was added stands before punctuation; taking them away gives it back."""
    unescaped = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", escape.markdown(text))
    assert unescaped == escape.plain(text)


def test_markdown_marks_of_every_kind_are_disarmed():
    hostile = (
        "| **굵게** `코드` <img src=x onerror=alert(1)> [링크](http://a) ![그림](b) $x$ @a ~~b~~"
    )
    shown = escape.markdown(hostile)
    for mark in "|*`<>[]!$@~":
        assert not re.search(rf"(?<!\\){re.escape(mark)}", shown)
    assert r"http\://" in shown
    assert escape.markdown("점수: 3.5 :smile:") == r"점수: 3.5 \:smile:"
    assert escape.markdown("- 목록") == r"\- 목록"
    assert escape.markdown("1. 목록") == r"1\. 목록"
    assert escape.markdown("www.a.kr") == r"www\.a.kr"


def test_formulas_in_tables_for_people_are_disarmed():
    assert escape.csv_cell("=1+1") == "'=1+1"
    assert escape.csv_cell("@SUM(A1)") == "'@SUM(A1)"
    assert escape.csv_cell("요약 = 결과") == "요약 = 결과"
