"""Columns are proposed by their names, then by what they hold."""

import csv

import pytest

from support.corpora import rows
from yoyak.data.columns import with_contest_columns
from yoyak.data.propose_columns import (
    ColumnChoice,
    declared_columns,
    has_known_columns,
    propose_columns,
    references,
)
from yoyak.data.rows import read_rows


@pytest.fixture
def table(tmp_path):
    """A table whose columns have these names: id, dialogue, summary, topic, and a score of 1–5."""

    def write(*names: str):
        with (tmp_path / "t.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(names)
            for number, row in enumerate(rows("train", 12)):
                turns = "\n".join(f"{name}: {said}" for name, said in row.turns)
                cells = [row.id, turns, row.summary, row.topic, str(number % 5 + 1)]
                writer.writerow(cells[: len(names)])
        return read_rows(tmp_path / "t.csv")

    return write


@pytest.mark.parametrize(
    "names",
    [
        ("fname", "dialogue", "summary", "topic", "score"),
        ("번호", "대화내용", "요약문", "주제", "평점"),
        ("Doc_ID", "Conversation", "Abstract", "category", "n"),
        ("a", "b", "c", "title", "d"),
    ],
)  # fmt: skip
def test_each_role_is_found(names, table):
    found = propose_columns(table(*names))
    assert [found.id, found.dialogue, found.summary, found.topic] == [(one,) for one in names[:4]]


def test_an_id_tells_the_rows_apart(table):
    found = propose_columns(table("x", "대화", "요약", "주제", "id"))
    assert found.id == ("x",)


def test_a_column_of_numbers_is_no_summary(tmp_path, table):
    assert propose_columns(table("fname", "dialogue")).summary == ()


def test_two_summaries_are_two_candidates_unless_only_a_number_differs():
    assert references(("summary1", "summary2", "summary3")) == (
        ("summary1", "summary2", "summary3"),
    )
    assert references(("요약", "짧은 요약")) == (("요약",), ("짧은 요약",))


def test_known_columns_need_no_declaration(table):
    assert has_known_columns(table("fname", "dialogue", "summary", "topic"))
    assert has_known_columns(table("id", "dialogue", "summary1"))
    assert has_known_columns(table("fname", "dialogue"), is_test=True)
    assert not has_known_columns(table("fname", "dialogue", "summary", "topic", "score"))
    assert not has_known_columns(table("fname", "dialogue"))


def test_what_is_declared_is_read(table):
    made = table("번호", "대화", "요약", "주제", "평점")
    declared = declared_columns(ColumnChoice("번호", "대화", ("요약",), "주제"))
    renamed, _ = with_contest_columns(made, declared)
    assert renamed.columns == ("fname", "dialogue", "summary", "topic")
    usual = declared_columns(ColumnChoice("fname", "dialogue", ("summary",), "topic"))
    assert (usual.id, usual.dialogue, usual.summary, usual.topic) == (None,) * 4
