"""Single rows: offending places are bracketed where they are, and text of models stays text."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from yoyak.metrics.diagnostics import error_report
from yoyak.metrics.diagnostics.error_report import ErrorFound, RowDifference
from yoyak.metrics.diagnostics.error_types import ErrorType
from yoyak.metrics.diagnostics.text_patterns import TextSpan
from yoyak.terminal import rows
from yoyak.values import Rouge


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
    assert rows.marked(text, spans(text, *places)).plain == shown


@given(
    text=some.text("가나다라ab #1", max_size=30),
    ends=some.lists(some.tuples(some.integers(0, 30), some.integers(1, 8)), max_size=5),
)
def test_exactly_the_letters_of_the_spans_are_inside_the_marks(text, ends):
    places = [(start, min(start + size, len(text))) for start, size in ends if start < len(text)]
    inside = {at for start, end in places for at in range(start, end)}
    shown = rows.marked(text, spans(text, *places)).plain
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
    assert rows.marked(text, spans(text, (start, start + 2))).plain == "[31m철수가 ⟦会議⟧에 간다"


def test_a_model_cannot_paint_the_terminal(drawn):
    found = error_report.find_errors(
        {"dev_1": "\x1b[31m[red]会議[/red]\x1b[0m 끝."}, {"dev_1": ("회의를 한다.",)}
    )
    shown = drawn(rows.faults(found), 200)
    assert "\x1b" not in shown
    assert "[red]⟦会議⟧[/red]" in shown


def fault(kind, key, text, *places):
    return ErrorFound(fault=kind, id=key, text=text, spans=tuple(spans(text, *places)))


def test_each_kind_is_counted_in_full_and_shows_its_first_rows(drawn):
    many = [fault(ErrorType.FOREIGN_SCRIPT, f"dev_{n}", "会議", (0, 2)) for n in range(1200)]
    found = (fault(ErrorType.EMPTY, "dev_7", ""), *many)
    shown = [line.rstrip() for line in drawn(rows.faults(found, limit=2)).splitlines()]
    assert [line for line in shown if line] == [
        "empty: 1",
        "  dev_7:",
        "foreign script: 1,200",
        "  dev_0: ⟦会議⟧",
        "  dev_1: ⟦会議⟧",
    ]


def test_no_fault_is_said_too(drawn):
    assert drawn(rows.faults(())).strip() == "no fault found"


def rouge(mean):
    return Rouge(rouge1=mean, rouge2=mean, rougeL=mean)


def difference(**changes):
    usual = {
        "id": "dev_3", "one": rouge(0.4), "other": rouge(0.65), "one_text": "짧은 요약",
        "other_text": "긴 요약", "references": ("기준 하나", "기준 둘"),
    } | changes  # fmt: skip
    return RowDifference(**usual)


def test_differing_rows_show_both_texts_their_scores_the_references_and_the_gap(drawn):
    shown = drawn(rows.differences([difference()], ("lead", "코바트"))).splitlines()
    assert [line.rstrip() for line in shown if line.strip()] == [
        "Rows on which lead and 코바트 differ most (mean F1, points of 0–100)",
        "dev_3  −25.00",
        "  lead 40.00: 짧은 요약",
        "  코바트 65.00: 긴 요약",
        "  reference: 기준 하나",
        "  reference: 기준 둘",
    ]


@pytest.mark.parametrize("width", [80, 120])
def test_a_long_text_is_set_in_on_every_line_and_loses_nothing(drawn, columns_of, width):
    text = "가나다라마바사 " * 40
    shown = drawn(rows.differences([difference(one_text=text)], ("lead", "kobart")), width)
    assert "".join(shown.split()).count("가나다라마바사") == 40
    assert all(columns_of(line.rstrip()) <= width for line in shown.splitlines())
    assert all(line.startswith("  ") for line in shown.splitlines() if "가나" in line)


def test_an_empty_summary_can_be_seen_and_names_are_disarmed(drawn):
    shown = drawn(rows.differences([difference(one_text="\x07 ")], ("\x1b[2Jlead", "[b]x[/b]")))
    assert "[2Jlead 40.00: ∅" in shown
    assert "[b]x[/b] 65.00: 긴 요약" in shown
    assert not {"\x1b", "\x07"} & set(shown)
