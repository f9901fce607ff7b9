"""Strict tables: what is read stays as it is, and what is damaged is named."""

import csv
import io
import json
import unicodedata
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from yoyak import messages
from yoyak.data.rows import read_rows
from yoyak.errors import BadData, InputMissing, YoyakError

GOOD = (
    "fname,dialogue,summary\n"
    'a,"#Person1#: 안녕\n#Person2#: 응, ""네""",끝\n'
    'b,"#Person1#: 둘\n",셋\n'
)
LONG = "#Person1#: " + "가" * 140_000


def rows(path: Path) -> list[list[str]]:
    return [list(row.cells.values()) for row in read_rows(path).rows]


def as_csv(table: list[list[str]]) -> str:
    target = io.StringIO(newline="")
    csv.writer(target).writerows(table)
    return target.getvalue()


def test_cells_keep_line_breaks_quotes_and_commas(file):
    table = read_rows(file("t.csv", GOOD))
    assert table.columns == ("fname", "dialogue", "summary")
    assert table.rows[0].cells["dialogue"] == '#Person1#: 안녕\n#Person2#: 응, "네"'


def test_rows_are_numbered_as_records_and_as_lines(file):
    table = read_rows(file("t.csv", GOOD))
    assert [(row.number, row.line) for row in table.rows] == [(1, 2), (2, 4)]


def test_a_byte_order_mark_is_accepted(file):
    assert read_rows(file("t.csv", b"\xef\xbb\xbf" + GOOD.encode())).columns[0] == "fname"


@pytest.mark.parametrize("text", ["NA", "null", "nan", "None", "0012", "1e5", "", " "])
def test_every_cell_stays_text(file, text):
    assert rows(file("t.csv", f"id,summary\na,{text}\n")) == [["a", text]]


def test_a_very_long_cell_is_read(file):
    assert rows(file("t.csv", f'id,dialogue\na,"{LONG}"\n')) == [["a", LONG]]


def test_an_unnamed_index_is_left_out(file):
    for name in ("", "Unnamed: 0"):
        assert read_rows(file("t.csv", f"{name},fname\n0,a\n")).columns == ("fname",)


@pytest.mark.parametrize("separator", ["\t", ";", "|", ","])
@pytest.mark.parametrize("declared", [True, False])
def test_other_separators_are_recognised_by_the_header(file, separator, declared):
    text = f'id{separator}summary\na{separator}"하나, 둘; 셋"\n'
    if declared:
        text = f"sep={separator}\r\n{text}"
    table = read_rows(file("t.csv", "\ufeff" + text))
    assert table.columns == ("id", "summary")
    [row] = table.rows
    assert (row.cells, row.line) == ({"id": "a", "summary": "하나, 둘; 셋"}, 2 + declared)


def test_a_header_of_one_column_has_no_separator(file):
    assert read_rows(file("t.csv", "summary\n하나; 둘\n")).rows[0].cells == {"summary": "하나; 둘"}


def test_the_end_of_a_csv_file_is_told(file):
    assert read_rows(file("t.csv", "id,a\nx,y\n")).ends_with_newline
    assert not read_rows(file("t.csv", "id,a\nx,y")).ends_with_newline


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12).map(
    partial(unicodedata.normalize, "NFC")
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(cells, min_size=3, max_size=3), min_size=1, max_size=4))
def test_what_the_csv_module_writes_is_read_back(tmp_path, table):
    path = tmp_path / "t.csv"
    path.write_text(as_csv([["one", "two", "three"], *table]), encoding="utf-8", newline="")
    assert rows(path) == table


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(st.sampled_from("abc"), cells, min_size=1), min_size=1, max_size=4))
def test_what_the_json_module_writes_is_read_back(tmp_path, records):
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in records), encoding="utf-8")
    assert [row.cells for row in read_rows(path).rows] == records


def test_a_list_in_json_is_numbered_columns_and_null_is_no_cell(file):
    lines = '{"id": 7, "refs": ["하나", "둘"], "score": null}\n\n{"id": "b", "refs": ["셋"]}\n'
    table = read_rows(file("t.jsonl", lines))
    assert table.columns == ("id", "refs", "refs2")
    assert table.rows[0].cells == {"id": "7", "refs": "하나", "refs2": "둘"}
    assert table.rows[1].line == 3


@pytest.mark.parametrize("size", range(1, len(GOOD.encode())))
def test_a_file_cut_at_any_byte_is_refused_or_gives_whole_first_rows(file, size):
    """Only a cut inside the last, unquoted cell cannot be seen, and that one is told."""
    path = file("t.csv", GOOD.encode()[:size])
    try:
        table = read_rows(path)
    except BadData:
        return
    whole = read_rows(file("whole.csv", GOOD)).rows
    complete = table.rows if table.ends_with_newline else table.rows[:-1]
    assert complete == whole[: len(complete)]


BAD = [
    ("empty", "t.csv", "", "data.empty-file", "empty"),
    ("blank", "t.csv", "\n \n", "data.empty-file", "empty"),
    ("header only", "t.csv", "fname,summary\n", "data.no-rows", "no row"),
    ("open quote", "t.csv", 'id,a\nx,y\nz,"cut here', "data.unclosed-quote", "row 2 (line 3)"),
    ("open quote in header", "t.csv", 'id,"a', "data.unclosed-quote", "row 0 (line 1)"),
    ("stray quote", "t.csv", 'id,a\nx,"y"z\n', "data.bad-quote", "row 1 (line 2)"),
    ("short row", "t.csv", 'id,a,b\n"x\nx",y\n', "data.cell-count", "row 1 (line 2): 2 cells"),
    ("long row", "t.csv", "id,a\nx,y\nx,y,z\n", "data.cell-count", "row 2 (line 3): 3 cells"),
    ("same name twice", "t.csv", "id,a,a\nx,y,z\n", "data.repeated-column", "called a"),
    ("plain text", "t.txt", "한 줄\n두 줄\n", "data.plain-text", "no id for each line"),
    ("NUL", "t.csv", "id,a\nx,y\nz,a\0b\n", "data.nul", "row 2 (line 3)"),
    ("NUL only", "t.csv", "\0" * 40, "data.nul", "row 0 (line 1)"),
    ("text in JSON", "t.json", '"hello"', "data.lone-value", "one value (string)"),
    ("null in JSONL", "t.jsonl", "null\n", "data.lone-value", "one value (null)"),
    ("NUL in JSON", "t.jsonl", '{"a": "\\u0000"}', "data.nul", "row 1 (line 1)"),
    ("cut JSON", "t.jsonl", '{"a": "b"}\n{"a": ', "data.bad-json", "row 2 (line 2)"),
    ("JSON list", "t.jsonl", '["a"]', "data.bad-json", "row 1 (line 1)"),
    ("lone surrogate", "t.jsonl", '{"a": "\\ud800"}', "data.bad-json", "row 1 (line 1)"),
]


@pytest.mark.parametrize(("name", "content", "key", "says"), [case[1:] for case in BAD])
def test_a_damaged_file_is_named_with_its_row(file, name, content, key, says):
    path = file(name, content)
    with pytest.raises(BadData) as caught:
        read_rows(path)
    assert caught.value.key == key
    assert_speaks(caught.value, path, says)


def test_a_missing_file_and_a_folder_are_input_missing(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(InputMissing) as caught:
            read_rows(path)
        assert_speaks(caught.value, path)


def assert_speaks(error: YoyakError, path: Path, *says: str) -> None:
    """The message names the file and the next command, in both languages."""
    for text in says:
        assert text in str(error)
    for lang in messages.LANGUAGES:
        with messages.speaking(lang):
            assert str(path) in str(error)
            assert "→" in str(error)


def test_a_file_that_may_not_be_read_is_told(file, monkeypatch):
    path = file("t.csv", GOOD)

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(InputMissing, match="cannot be read") as caught:
        read_rows(path)
    assert_speaks(caught.value, path, "Permission denied")


@pytest.mark.parametrize(
    ("text", "kind"),
    [('"하나, 둘"\n', "string"), ("42", "number"), ("null", "null"), ("true", "boolean")],
)
def test_json_that_is_one_value_is_named_for_what_it_is(text, kind, file):
    with pytest.raises(BadData) as raised:
        read_rows(file("train.json", text))
    assert (raised.value.key, raised.value.fields["kind"]) == ("data.lone-value", kind)


def test_a_nul_is_named_also_where_it_leaves_a_quote_open(file):
    """A block of NULs is what a disk leaves of a file's end."""
    path = file("train.csv", b'fname,dialogue\na,"b"\nc,"d' + b"\0" * 100)
    with pytest.raises(BadData) as raised:
        read_rows(path)
    assert raised.value.key == "data.nul"
    assert (raised.value.fields["row"], raised.value.fields["line"]) == (2, 3)
