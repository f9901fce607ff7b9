"""Lists in messages end, and characters that cannot be seen are written out."""

import pytest

from yoyak.messages import listed, visible


def test_a_list_ends_after_ten_and_says_how_many_more():
    assert listed(range(3)) == "0, 1, 2"
    assert listed(range(10)).endswith("8, 9")
    assert listed(range(12)).endswith("8, 9, … (+2)")
    assert listed([]) == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("dev_0", "'dev_0'"),
        ("대화 0", "'대화 0'"),
        ("dev_0\u200b", r"'dev_0\u200b'"),
        ("dev\u3000_0", r"'dev\u3000_0'"),
        ("ｄev", r"'\uff44ev'"),
        ("\u1112\u1161", r"'\u1112\u1161'"),
        ("e\u0301", r"'e\u0301'"),
    ],
)
def test_what_looks_the_same_is_written_differently(text, shown):
    assert visible(text) == shown
