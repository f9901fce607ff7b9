"""UTF-8 is read, with or without a byte order mark; anything else is named, with the repair."""

import subprocess

import pytest

from yoyak.data.rows import read_rows
from yoyak.data.text_file import read_text_file
from yoyak.errors import BadData

KOREAN = 'fname,summary\na,첫째 요약입니다.\nb,"둘째, 요약입니다."\n'
ENCODED = [
    ("cp949", "cp949", "line 2"),
    ("euc-kr", "cp949", "line 2"),
    ("utf-16", "utf-16", "line 1"),
    ("utf-16-le", "utf-16le", "line"),
    ("utf-16-be", "utf-16be", "line"),
    ("utf-32", "utf-32", "line 1"),
]


@pytest.mark.parametrize(("encoding", "name", "line"), ENCODED)
def test_another_encoding_is_recognised(file, encoding, name, line):
    path = file("t.csv", KOREAN.encode(encoding))
    with pytest.raises(BadData) as caught:
        read_text_file(path)
    said = str(caught.value)
    assert str(path) in said
    assert all(part in said for part in (f"looks like {name}.", line, f"iconv -f {name.upper()}"))


@pytest.mark.process
def test_the_command_that_is_offered_repairs_the_file(file):
    path = file("내 파일.csv", KOREAN.encode("cp949"))
    with pytest.raises(BadData) as caught:
        read_text_file(path)
    subprocess.run(str(caught.value).split(" → ")[1], shell=True, check=True)
    assert read_text_file(path.with_name("내 파일.utf8.csv")).text == KOREAN


def test_plain_ascii_in_utf16_is_recognised_too(file):
    path = file("t.csv", "id,summary\na,hello\n".encode("utf-16-le"))
    with pytest.raises(BadData, match="looks like utf-16le"):
        read_rows(path)


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (KOREAN.encode() + b"c,\xff\xfe\n", "data.not-utf8"),
        (KOREAN.encode()[:-4], "data.cut-character"),
        (KOREAN.encode().replace(b"\xec\xb2\xab", b"\xec\x80", 1), "data.not-utf8"),
    ],
)
def test_damaged_utf8_is_not_called_cp949(file, content, key):
    path = file("t.csv", content)
    with pytest.raises(BadData) as caught:
        read_text_file(path)
    assert caught.value.key == key
    assert f"{path}, line" in str(caught.value)


def test_a_byte_order_mark_is_left_out(file):
    assert read_text_file(file("t.csv", "\ufeff" + KOREAN)).text == KOREAN
