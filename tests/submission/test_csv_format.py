"""The submission has the sample's shape, byte for byte, whatever that shape is."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.errors import BadData
from yoyak.submission.csv_format import contest_sample, read_csv_format, read_table

SAMPLES = {
    "contest": b',fname,summary\n0,test_0,"a, b"\n1,test_1,c\n',
    "windows": b",fname,summary\r\n0,test_0,a\r\n1,test_1,c\r\n",
    "mark": b"\xef\xbb\xbffname,summary\ntest_0,a\ntest_1,c\n",
    "all quoted": b'"fname","summary"\n"test_0","a"\n"test_1","c"\n',
    "open end": b"fname,summary\ntest_0,a\ntest_1,c",
    "answer first": b"summary,fname,weight\na,test_0,3\nc,test_1,4\n",
}


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_rendering_the_samples_own_texts_gives_the_sample(sample):
    layout = read_csv_format(sample)
    own = {record.cells[layout.id_at]: record.cells[layout.answer_at] for record in layout.records}
    assert layout.render(own) == sample


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_only_the_texts_change(sample):
    layout = read_csv_format(sample)
    data = layout.render({"test_0": "첫째, 요약.", "test_1": '그는 "네"라고 합니다.'})
    again = read_table(data.decode())
    assert again.header == layout.table.header
    assert [record.cells[layout.id_at] for record in again.records] == ["test_0", "test_1"]
    assert again.records[0].cells[layout.answer_at] == "첫째, 요약."
    assert again.bom == layout.table.bom


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"))


@given(st.lists(TEXTS, min_size=1, max_size=8))
def test_any_text_comes_back_as_it_was_through_pythons_own_reader(texts):
    ids = [f"test_{at}" for at in range(len(texts))]
    data = read_csv_format(contest_sample(ids)).render(dict(zip(ids, texts, strict=True)))
    rows = list(csv.reader(io.StringIO(data.decode(), newline="")))
    assert rows[0] == ["", "fname", "summary"]
    assert [row[2] for row in rows[1:]] == texts
    assert [row[0] for row in rows[1:]] == [str(at) for at in range(len(texts))]


@pytest.mark.parametrize(
    "sample",
    [
        b"",
        b"fname\ntest_0\n",
        b"fname,summary\n",
        b"fname,summary\ntest_0\n",
        b"fname,summary\ntest_0,a\ntest_0,b\n",
        "fname,summary\ntest_0,요약\n".encode("cp949"),
        b"'fname',summary,fname\n",
        b'fname,summary\ntest_0,"a"\ntest_1,b\n',
    ],
)
def test_an_unusable_sample_is_refused(sample):
    with pytest.raises(BadData) as caught:
        read_csv_format(sample)
    assert caught.value.key == "submission.sample-unusable"
    assert "→" in str(caught.value)


def test_records_keep_their_raw_lines():
    table = read_table('a,b\r\n1,"x\ny"\r\n2,z')
    assert [record.raw for record in table.records] == ['1,"x\ny"\r\n', "2,z"]
    assert [record.ending for record in table.records] == ["\r\n", ""]
