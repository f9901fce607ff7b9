"""Columns line up where names are Hangul, nothing is cut off, and signs stand beside words."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as some

from yoyak.metrics.diagnostics.text_patterns import TextSpan
from yoyak.report.sections import examples
from yoyak.report.sections.blocks import (
    AnswerBlock,
    Badge,
    Bar,
    Checked,
    CodeBlock,
    Link,
    Note,
    SampleBlock,
    Table,
    TableColumn,
)
from yoyak.terminal import render

NAMES = ("lead", "한국어 요약기", "kobart 반쪽", "뷁")
SCORES = ("7.00", "27.01", "100.00", "–")


def table(*rows, heads=("system", "평균", "n")):
    """A table whose first column holds words, and whose other columns hold numbers."""
    titles = tuple(TableColumn(head, at > 0) for at, head in enumerate(heads))
    return Table(titles, rows, title="품질")


@pytest.mark.parametrize("width", [80, 120])
def test_numbers_end_in_one_column_beside_names_of_any_script(drawn, columns_of, width):
    rows = [(name, score, "499") for name, score in zip(NAMES, SCORES, strict=True)]
    shown = drawn([table(*rows)], width).splitlines()
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
    shown = drawn([table((name, "27.01", "499"), ("lead", "7.00", "499"))], width)
    assert all(columns_of(line) <= width for line in shown.splitlines())
    assert "".join(re.findall("[아주긴이름의요약시스템]", shown)) == name, "no syllable is lost"
    first = next(line for line in shown.splitlines() if line.startswith(name[:9]))
    assert first.split()[-2:] == ["27.01", "499"]


def test_the_last_lines_of_headings_stand_beside_each_other(drawn):
    made = table(("kobart", "1,024", "96"), heads=("recipe", "tokens per\nforward pass", "steps"))
    _, first, second, rule, row = (line.split() for line in drawn([made]).splitlines())
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
    shown = drawn([table(cells)])
    assert "✖ failed (out of memory)" in shown
    assert "▼ worse" in shown
    assert "✔ 0" in shown
    assert "\x1b" not in shown


def test_notes_of_numbers_stand_in_a_column_until_there_is_no_room(drawn, columns_of):
    """The interval of the first column, which has no heading, is given up before the mean's."""
    heads = (
        TableColumn("system"),
        TableColumn("R-1", is_number=True),
        TableColumn("mean", is_number=True, note="interval"),
    )
    cells = Link("29.15", "", "26.00–28.00"), Link("20.18", "runs/a/scores/dev.json", "18.23–22.04")
    made = Table(heads, (("one-name-of-a-system", *cells), ("floor", "33.79", "29.21")))
    wide, middle, narrow = (drawn([made], width) for width in (60, 45, 28))
    assert "29.15  26.00–28.00  20.18  18.23–22.04" in wide
    assert "29.15  20.18  18.23–22.04" in middle
    assert "26.00" not in middle
    assert "interval" in middle
    assert "29.15  20.18" in narrow
    assert "18.23" not in narrow
    assert "runs/a" not in wide, "a terminal has no links"
    for shown in (wide, middle, narrow):
        floor = next(line for line in shown.splitlines() if line.startswith("floor"))
        line = next(line for line in shown.splitlines() if "20.18" in line)
        assert columns_of(line[: line.index("20.18")]) == columns_of(floor[: floor.index("29.21")])


def test_a_note_of_words_is_in_brackets(drawn):
    assert "ok (since)" in drawn([table((Badge("ok", "ok", "since"), "1", "2"))])


def test_a_table_without_titles_of_columns_has_no_head(drawn):
    made = Table((TableColumn(""),) * 2, (("a", "b"),))
    assert drawn([made]).rstrip() == "a  b"


def test_tables_and_samples_are_set_apart_and_notes_follow(drawn):
    made = table(("a", "1", "2"), heads=("x", "y", "z"))._replace(title="")
    sample = SampleBlock("dev_1", "why", answers=(AnswerBlock("lead", (), "1.00"),))
    lines = [one.rstrip() for one in drawn([made, Note("note"), sample, made]).splitlines()]
    assert lines[3:7] == ["note", "", "dev_1: why", "  lead 1.00: ∅"]
    assert lines[7] == ""


@pytest.mark.parametrize("share", [None, 0.0, 0.5, 1.0])
def test_a_bar_is_as_long_as_its_share(drawn, share):
    view = render.TableView(table(("lead", Bar("12/24", share), "1")), bar_width=10)
    stream = io.StringIO()
    render.console(stream, width=80).print(view)
    (row,) = [line for line in stream.getvalue().splitlines() if "lead" in line]
    assert row.count("━") == round(10 * (share or 0.0))


@pytest.mark.parametrize(("width", "bar"), [(60, 10), (26, 5), (20, 0)])
def test_a_bar_gives_way_before_words_are_folded(width, bar):
    cells = ("tiny-bart", Bar("12/24", 1.0), "1")
    stream = io.StringIO()
    render.console(stream, width=width).print(render.TableView(table(cells), bar_width=10))
    (row,) = [line for line in stream.getvalue().splitlines() if "tiny-bart" in line]
    assert row.count("━") == bar


def test_recorded_text_is_neither_markup_nor_a_command_to_the_terminal(drawn):
    hostile = "\x1b]0;owned\x07[red]이름[/red]\n:smile:"
    kinds = (hostile, Link(hostile, ""), CodeBlock(hostile), Bar(hostile, 0.5))
    for cell in (*kinds, Badge("ok", "ok", hostile), Checked("ok", hostile)):
        shown = drawn([table((cell, "1", "2"))])
        assert "[red]이름[/red] :smile:" in shown
        assert not {"\x1b", "\x07"} & set(shown)


def spans(text, *places):
    return [TextSpan(start=start, end=end, text=text[start:end]) for start, end in places]


@pytest.mark.parametrize(
    ("places", "shown"),
    [
        ([], "첫째, 둘째 셋째"),
        ([(0, 2)], "⟦첫째⟧, 둘째 셋째"),
        ([(7, 9), (0, 2)], "⟦첫째⟧, 둘째 ⟦셋째⟧"),
        ([(4, 6), (5, 8)], "첫째, ⟦둘째 셋⟧째"),
        ([(4, 9), (5, 6)], "첫째, ⟦둘째 셋째⟧"),
        ([(0, 2), (2, 3)], "⟦첫째,⟧ 둘째 셋째"),
        ([(0, 9)], "⟦첫째, 둘째 셋째⟧"),
    ],
)
def test_marks_stand_around_the_places_and_overlapping_ones_are_one(places, shown):
    text = "첫째, 둘째 셋째"
    assert render.marked(examples.marked(text, spans(text, *places))).plain == shown


@given(
    text=some.text("가나다라ab #1", max_size=30),
    ends=some.lists(some.tuples(some.integers(0, 30), some.integers(1, 8)), max_size=5),
)
def test_exactly_the_letters_of_the_spans_are_inside_the_marks(text, ends):
    places = [(start, min(start + size, len(text))) for start, size in ends if start < len(text)]
    inside = {at for start, end in places for at in range(start, end)}
    shown = render.marked(examples.marked(text, spans(text, *places))).plain
    depth, found = 0, []
    for letter in shown:
        if letter in "⟦⟧":
            depth += 1 if letter == "⟦" else -1
            assert depth in {0, 1}, "no mark inside of another"
        elif letter != " ":
            found.append((letter, depth == 1))
    assert depth == 0
    assert found == [(each, at in inside) for at, each in enumerate(text) if each != " "]


def test_a_mark_stays_at_its_place_beside_characters_that_are_not_shown():
    text = "\x1b[31m철수가\n会議에\u202e 간다"
    start = text.index("会議")
    pieces = examples.marked(text, spans(text, (start, start + 2)))
    assert render.marked(pieces).plain == "[31m철수가 ⟦会議⟧에 간다"
