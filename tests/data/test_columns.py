"""Columns are renamed as declared or as known, and what is left out is counted."""

import pytest

from yoyak.data.columns import is_summary, with_contest_columns, with_speaker_tags
from yoyak.data.contest import Columns
from yoyak.data.rows import read_rows
from yoyak.errors import BadData


def test_the_contests_own_table_is_left_alone(file):
    table = read_rows(file("t.csv", "fname,dialogue,summary,note\na,b,c,d\n"))
    assert with_contest_columns(table, None).table is table


def test_declared_columns_are_renamed_and_the_others_left_out(file):
    table = read_rows(file("t.csv", "no,text,s1,s2,who\n1,네,하나,둘,가\n2,응,셋,,나\n"))
    declared = Columns(id="no", dialogue="text", summary=("s1", "s2"))
    renamed, unread = with_contest_columns(table, declared)
    assert renamed.columns == ("fname", "dialogue", "summary", "summary2")
    assert renamed.rows[0].cells == {
        "fname": "1", "dialogue": "네", "summary": "하나", "summary2": "둘",
    }  # fmt: skip
    assert unread == 0
    test, unread = with_contest_columns(table, declared, is_test=True)
    assert (test.columns, unread) == (("fname", "dialogue"), 2)


def test_a_declared_column_that_is_not_there_is_named(file):
    table = read_rows(file("t.csv", "no,dialogue\n1,네\n"))
    with pytest.raises(BadData, match=r"no column 요약, which \[columns\]"):
        with_contest_columns(table, Columns(id="no", summary="요약"))
    assert with_contest_columns(table, Columns(id="no", summary="요약"), is_test=True)


def test_the_names_of_samsum_and_dialogsum_are_known(file):
    line = '{"id": 13, "dialogue": "가: 네", "summary1": "하나", "topic1": "t", "topic2": "u"}'
    renamed, _ = with_contest_columns(read_rows(file("t.jsonl", line)), None)
    assert renamed.rows[0].cells == {
        "fname": "13", "dialogue": "가: 네", "summary": "하나", "topic": "t",
    }  # fmt: skip


def test_names_are_replaced_and_kept_beside_the_row(file):
    table = read_rows(file("t.csv", 'fname,dialogue\na,"지수: 네\n민호: 응"\n'))
    [row] = with_speaker_tags(table).rows
    assert row.cells["dialogue"] == "#Person1#: 네\n#Person2#: 응"
    assert row.speakers == {"지수": "#Person1#", "민호": "#Person2#"}


@pytest.mark.parametrize(
    ("column", "known"),
    [("summary", True), ("summary2", True), ("summary12", True), ("summary1", False),
     ("summary02", False), ("summaries", False), ("topic", False)],
)  # fmt: skip
def test_summaries_are_numbered_from_two(column, known):
    assert is_summary(column) is known
