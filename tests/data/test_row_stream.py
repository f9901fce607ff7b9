"""Reading in parts gives the rows, and the errors, that reading the whole file gives."""

import csv
import gzip
import io
import itertools
import json
import os
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.data import row_stream
from yoyak.data.row_stream import open_rows
from yoyak.data.rows import read_rows
from yoyak.errors import BadData, InputMissing, Unavailable

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
RECORDS = st.lists(st.tuples(TEXT.filter(str.strip), TEXT), min_size=1, max_size=9)


def streamed(path, part_rows=3):
    with open_rows(path, part_rows) as stream:
        tables = list(stream.tables)
    assert all(len(table.rows) == part_rows for table in tables[:-1])
    assert {table.columns for table in tables} == {tables[0].columns}
    return tables[0].columns, [row for table in tables for row in table.rows]


def whole(path):
    table = read_rows(path)
    return table.columns, list(table.rows)


def written(path, records, separator=","):
    out = io.StringIO()
    csv.writer(out, delimiter=separator).writerows([("fname", "dialogue"), *records])
    path.write_text(out.getvalue(), "utf-8", newline="")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("rows")


@given(RECORDS, st.sampled_from(",\t;|"), st.integers(1, 4))
def test_a_table_in_parts_is_the_table(folder, records, separator, part_rows):
    path = written(folder / "rows.csv", records, separator)
    assert streamed(path, part_rows) == whole(path)


@given(RECORDS, st.integers(1, 4), st.booleans())
def test_json_lines_in_parts_are_the_file(folder, records, part_rows, compressed):
    lines = [json.dumps({"fname": key, "dialogue": text, "n": 3}) for key, text in records]
    path = folder / "rows.jsonl"
    path.write_text("\n".join(lines), "utf-8")
    expected = whole(path)
    if compressed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert streamed(path, part_rows) == expected


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("first", ["", "\n\n", "sep=;\n"])
def test_every_way_of_ending_lines_and_beginning_a_file(tmp_path, end, mark, first):
    path = tmp_path / "rows.csv"
    text = f'{mark}{first}id;dialogue\n1;안녕\n\n2;"둘\n셋"\n'
    path.write_text(text.replace("\n", end), "utf-8", newline="")
    assert streamed(path) == whole(path)


BROKEN = {
    "an open quote": b'id,dialogue\n1,a\n2,"b\n3,c\n',
    "a quote inside": b'id,dialogue\n1,a\n2,"b"c\n',
    "a cell too few": b"id,dialogue\n1,a\n\n2\n",
    "a NUL": "id,dialogue\n1,가나다\n2,라\0\n".encode(),
    "a column twice": b"id,id\n1,a\n",
    "no row": b"id,dialogue\n",
    "nothing": b"",
    "blanks": b"\n \n",
    "CP949": "id,dialogue\n1,안녕하세요 오늘은 좋아요\n".encode("cp949"),
    "a stray byte": "id,dialogue\n1,가\n2,나\xff\n".encode("latin-1", "replace"),
    "UTF-16": "id,dialogue\n1,안녕\n".encode("utf-16"),
    "cut inside a character": "id,dialogue\n1,a\n2,가".encode()[:-1],
    "a line that is no object": b'{"id": "1"}\n{"id": \n',
    "a number among objects": b'{"id": "1"}\n3\n',
    "NaN": b'{"id": "1"}\n{"id": NaN}\n',
    "a name twice": b'{"id": "1", "id": "2"}\n',
    "a lone surrogate": b'{"id": "1"}\n{"id": "\\ud800"}\n',
    "HTML": b"<!doctype html><p>login</p>",
    "an archive": b"PK\x03\x04 broken",
    "a pointer": b"version https://git-lfs.github.com/spec/v1\n",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_refused_in_the_words_of_the_whole_reader(tmp_path, content):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    errors = []
    for read in (whole, streamed):
        with pytest.raises(BadData) as refused:
            read(path)
        errors.append((refused.value.key, refused.value.fields))
    (expected, fields), (key, found) = errors
    assert key == expected
    assert found.keys() == fields.keys()
    assert all(found[name] == fields[name] for name in fields.keys() - {"problem"})


def test_rows_before_the_broken_one_are_given(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("id,dialogue\n1,a\n2,b\n3\n", "utf-8")
    with open_rows(path, 2) as stream:
        assert len(next(stream.tables).rows) == 2
        with pytest.raises(BadData, match="row 3"):
            next(stream.tables)


def test_a_broken_byte_far_into_a_file_is_named_with_its_line(tmp_path):
    path = tmp_path / "rows.csv"
    rows = [b"%d,%s" % (number, b"x" * 70) for number in range(1, 5001)]
    rows[3999] = b"4000,\xb0\xa1\xb3\xaa"
    path.write_bytes(b"id,dialogue\n" + b"\n".join(rows) + b"\n")
    with pytest.raises(BadData, match="line 4001") as refused:
        streamed(path, 500)
    assert refused.value.key == "data.looks-like"


def test_objects_over_several_lines_and_arrays_are_refused_with_the_way_out(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text('{"id": "1",\n "dialogue": "a"}\n', "utf-8")
    with pytest.raises(BadData, match="one object per line"):
        streamed(path)
    path.write_text('[{"id": "1", "dialogue": "a"}]', "utf-8")
    with pytest.raises(BadData, match=r"jq -c '\.\[\]' .*rows\.jsonl"):
        streamed(path)


def test_a_line_without_end_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(row_stream, "MAX_CHARACTERS", 1000)
    path = tmp_path / "rows.jsonl"
    path.write_text('{"id": "1"}\n{"id": "' + "x" * 5000, "utf-8")
    with pytest.raises(BadData, match="line 2: longer than 1000"):
        streamed(path)


def test_gzip_that_is_cut_off_is_named(tmp_path):
    path = written(tmp_path / "rows.csv", [(str(n), os.urandom(30).hex()) for n in range(3000)])
    packed = gzip.compress(path.read_bytes())
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(BadData) as refused:
        streamed(path)
    assert refused.value.key == "data.broken-gzip"
    path.write_bytes(gzip.compress(packed))
    with pytest.raises(BadData, match="compressed with gzip"):
        streamed(path)


def test_several_gzip_members_are_one_file(tmp_path):
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(b"id,dialogue\n1,a\n") + gzip.compress(b"2,b\n"))
    assert [row.cells["id"] for row in streamed(path)[1]] == ["1", "2"]


def test_what_is_no_file_is_named(tmp_path):
    with pytest.raises(InputMissing, match="no such file"):
        streamed(tmp_path / "none.csv")
    with pytest.raises(InputMissing, match="is a folder"):
        streamed(tmp_path)


def test_a_pipe_gives_its_rows_however_little_comes_at_once(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = "id,dialogue\n" + "".join(f"{n},안녕 {n}\n" for n in range(200))

    def feed():
        with pipe.open("wb", buffering=0) as stream:
            for at in itertools.count(0, 7):
                piece = content.encode()[at : at + 7]
                if not piece:
                    return
                stream.write(piece)

    writer = threading.Thread(target=feed)
    writer.start()
    with open_rows(pipe, 50) as stream:
        assert stream.fraction() is None
        rows = [row for table in stream.tables for row in table.rows]
    writer.join()
    assert [row.cells["dialogue"] for row in rows] == [f"안녕 {n}" for n in range(200)]


def test_the_fraction_grows_from_nothing_to_all(tmp_path):
    path = written(tmp_path / "rows.csv", [(str(n), "x" * 200) for n in range(4000)])
    with open_rows(path, 500) as stream:
        read = [stream.fraction() for _ in stream.tables]
    assert read == sorted(read)
    assert 0 < read[0] < 0.5
    assert read[-1] == 1


READS = """
import sys
from pathlib import Path
from yoyak.data.row_stream import open_rows
with open_rows(Path("-"), 2) as stream:
    print([row.cells["dialogue"] for table in stream.tables for row in table.rows])
"""


@pytest.mark.process
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_standard_input_is_read(pack):
    content = pack("id\tdialogue\n1\t하나\n2\t둘\n3\t셋\n".encode())
    done = subprocess.run(
        [sys.executable, "-c", READS], input=content, capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == "['하나', '둘', '셋']"


def test_without_pyarrow_the_extra_for_parquet_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(row_stream, "find_spec", lambda _: None)
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(Unavailable, match=r"yoyak\[parquet\]"):
        streamed(path)


def test_parquet_is_read_in_parts(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "rows.parquet"
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(BadData, match="Parquet file is damaged"):
        streamed(path)
    rows = {"id": [7, 8, 9], "dialogue": ["가", "나", None], "score": [0.5, None, 1.0]}
    parquet.write_table(pa.table(rows), path)
    columns, found = streamed(path, 2)
    assert columns == ("id", "dialogue", "score")
    assert [row.cells for row in found] == [
        {"id": "7", "dialogue": "가", "score": "0.5"},
        {"id": "8", "dialogue": "나"},
        {"id": "9", "score": "1.0"},
    ]
    with open_rows(path, 2) as stream:
        assert [stream.fraction() for _ in stream.tables] == [2 / 3, 1]
