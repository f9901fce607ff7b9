"""Columns line up where names are Hangul, nothing is cut off, and signs stand beside words."""

import re

import pytest

from yoyak.report.sections.blocks import Badge, Bar, Checked, CodeBlock, Link, Table, TableColumn
from yoyak.terminal import tables

NAMES = ("lead", "한국어 요약기", "kobart 반쪽", "뷁")
SCORES = ("7.00", "27.01", "100.00", "–")


def table(*rows, heads=("system", "평균", "n")):
    """A table whose first column holds words, and whose other columns hold numbers."""
    titles = tuple(TableColumn(head, at > 0) for at, head in enumerate(heads))
    return Table(titles, rows, title="품질")


@pytest.mark.parametrize("width", [80, 120])
def test_numbers_end_in_one_column_beside_names_of_any_script(drawn, columns_of, width):
    rows = [(name, score, "499") for name, score in zip(NAMES, SCORES, strict=True)]
    shown = drawn(tables.draw(table(*rows)), width).splitlines()
    ends = set()
    for name, score in zip(NAMES, SCORES, strict=True):
        (line,) = (one for one in shown if one.startswith(name))
        ends.add(columns_of(line[: line.index(f"{score} ") + len(score)]))
    (head,) = (one for one in shown if one.startswith("system"))
    ends.add(columns_of(head[: head.index("평균") + 2]))
    assert len(ends) == 1, "the heading's end as well"
    assert {columns_of(one.rstrip()) for one in shown if one.rstrip().endswith("499")} == {
        columns_of(head.rstrip())
    }


@pytest.mark.parametrize("width", [80, 120])
def test_a_name_that_is_too_long_folds_and_its_numbers_stay_whole(drawn, columns_of, width):
    name = "아주긴이름의요약시스템" * 10
    shown = drawn(tables.draw(table((name, "27.01", "499"), ("lead", "7.00", "499"))), width)
    assert all(columns_of(line) <= width for line in shown.splitlines())
    assert "".join(re.findall("[아주긴이름의요약시스템]", shown)) == name, "no syllable is lost"
    first = next(line for line in shown.splitlines() if line.startswith(name[:9]))
    assert first.split()[-2:] == ["27.01", "499"]


def test_the_last_lines_of_headings_stand_beside_each_other(drawn):
    made = tables.ruled("", ["recipe", "tokens per\nforward pass", "steps"])
    made.add_row("kobart", "1,024", "96")
    first, second, rule, row = (line.split() for line in drawn(made).splitlines())
    assert first == ["tokens", "per"]
    assert second == ["recipe", "forward", "pass", "steps"]
    assert set("".join(rule)) == {"─"}
    assert row == ["kobart", "1,024", "96"]


def test_states_are_a_sign_and_a_word_without_colour(drawn):
    cells = (
        Badge("failed", "failed", "out of memory"),
        Badge("worse", "worse"),
        Checked("ok", "0"),
    )
    shown = drawn(tables.draw(table(cells)))
    assert "✖ failed (out of memory)" in shown
    assert "▼ worse" in shown
    assert "✔ 0" in shown
    assert "\x1b" not in shown


def test_notes_are_left_out_where_there_is_no_room(drawn):
    cells = (Link("27.01", "runs/a/scores/dev.json", "26.00–28.00"), Badge("ok", "ok", "since"), "")
    wide, narrow = (drawn(tables.draw(table(cells), notes=notes)) for notes in (True, False))
    assert "27.01 (26.00–28.00)" in wide
    assert "ok (since)" in wide
    assert "27.01" in narrow
    assert "(" not in narrow
    assert "runs/a" not in wide + narrow, "a terminal has no links"


def test_recorded_text_is_neither_markup_nor_a_command_to_the_terminal(drawn):
    hostile = "\x1b]0;owned\x07[red]이름[/red]\n:smile:"
    kinds = (hostile, Link(hostile, ""), CodeBlock(hostile), Bar(hostile, 0.5))
    for cell in (*kinds, Badge("ok", "ok", hostile), Checked("ok", hostile)):
        shown = drawn(tables.draw(table((cell, "1", "2"))))
        assert "[red]이름[/red] :smile:" in shown
        assert not {"\x1b", "\x07"} & set(shown)
