"""Messages agree with the values in them, lists end, and invisible characters are written out."""

import tomllib
from importlib import resources

import pytest

from yoyak import messages
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
        ("d\u0435v_0", r"'d\u0435v_0'"),
        ("dev\u20100", r"'dev\u20100'"),
    ],
)
def test_what_looks_the_same_is_written_differently(text, shown):
    assert visible(text) == shown


@pytest.mark.parametrize(
    ("sentence", "fields", "shown"),
    [
        ("{name:은} {path}", {"name": "lead", "path": "x"}, "lead는 x"),
        ("'{name}'{name:~이라는} 실행", {"name": "모델"}, "'모델'이라는 실행"),
        ("{split:으로}", {"split": "test"}, "test로"),
        ("{count:run/runs}", {"count": 1}, "1 run"),
        ("{count:run/runs}", {"count": "2"}, "2 runs"),
        ("{mean:.2f}", {"mean": 0.5}, "0.50"),
    ],
)
def test_a_placeholder_chooses_the_word_after_its_value(sentence, fields, shown, monkeypatch):
    monkeypatch.setattr(messages, "_sentences", lambda *_: {"key": sentence})
    assert messages.text("any.key", **fields) == shown
    with pytest.raises(KeyError):
        messages.text("any.key")


@pytest.mark.parametrize("language", ["en", "ko"])
def test_columns_that_a_message_aligns_fit_a_terminal_of_80(language):
    from rich.cells import cell_len

    files = (resources.files(messages) / language).iterdir()
    texts = [text for file in files for text in tomllib.loads(file.read_text("utf-8")).values()]
    aligned = [text for text in texts if "\n      " in text]
    assert len(aligned) > 1
    for text in aligned:
        assert max(map(cell_len, text.splitlines())) <= 80, text
