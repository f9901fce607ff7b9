"""Records of this and older formats are read; newer ones are refused by number."""

import msgspec
import pytest

from yoyak.errors import BadData
from yoyak.files.format import DiskFormat, decode_record
from yoyak.values import Value

FORM = DiskFormat("record", 2)


class Record(Value, frozen=True, kw_only=True):
    name: str
    format: int = 1


def test_a_record_without_a_number_is_of_format_1(tmp_path):
    assert decode_record(b'{"name":"a"}', Record, FORM, tmp_path).format == 1
    assert decode_record(b'{"name":"a","format":2}', Record, FORM, tmp_path).format == 2


def test_a_newer_record_is_refused_whatever_else_it_holds(tmp_path):
    with pytest.raises(BadData, match="is of format 3, and this yoyak reads formats up to 2"):
        decode_record(b'{"title":"a","format":3}', Record, FORM, tmp_path / "record.json")


@pytest.mark.parametrize("content", [b"", b"[]", b'{"name":', b'{"title":"a"}', b"\xff"])
def test_a_damaged_record_is_another_error(content, tmp_path):
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        decode_record(content, Record, FORM, tmp_path)
