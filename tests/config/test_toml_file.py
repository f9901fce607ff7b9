"""TOML as editors on Korean computers save it."""

import pytest

from yoyak.config.toml_file import parse_toml, read_toml
from yoyak.errors import BadRecipe, InputMissing

TEXT = '# 우리 팀 설정\nabout = "요약"\n'


@pytest.fixture
def path(tmp_path):
    return tmp_path / "우리 팀.toml"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_utf_8_is_read_with_a_byte_order_mark_or_without(path, encoding):
    path.write_text(TEXT, encoding)
    assert read_toml(path) == {"about": "요약"}


@pytest.mark.parametrize(
    ("encoding", "named"),
    [
        ("cp949", "looks like CP949"),
        ("utf-16", "looks like UTF-16"),
        ("utf-16-le", "looks like UTF-16"),
        ("latin-1", "looks like ISO-8859-1"),
    ],
)
def test_another_encoding_is_named_with_its_remedy(path, encoding, named):
    text = "[train]\n# é\xff\n" if encoding == "latin-1" else TEXT
    path.write_text(text, encoding)
    with pytest.raises(BadRecipe, match=f"{named}.*iconv") as caught:
        read_toml(path)
    assert str(path) in str(caught.value)


def test_what_is_no_file_is_missing(tmp_path):
    with pytest.raises(InputMissing):
        read_toml(tmp_path)


@pytest.mark.parametrize("text", ["a = [", "a = " + "[" * 20_000, "a = 1\na = 2", "x"])
def test_what_is_no_toml_is_refused_with_its_origin(text):
    with pytest.raises(BadRecipe, match=r"mine\.toml is not valid TOML"):
        parse_toml(text, "mine.toml")
