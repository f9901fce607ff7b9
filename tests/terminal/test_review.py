"""Rows under review: what is handed in is marked, and what the choice cost is said."""

import pytest

from yoyak.ensemble.review import ReviewOption, ReviewRow
from yoyak.terminal import review


def option(system, text, score, *, decode="greedy", expected=0.3, chosen=False):
    return ReviewOption(
        system=system, decode=decode, text=text, expected=expected, score=score, chosen=chosen
    )


def row(*options, references=("기준 요약",), disagreement=0.6):
    return ReviewRow(
        id="dev_1", dialogue="", references=references, options=options, disagreement=disagreement
    )


@pytest.fixture
def lines(drawn):
    """Draw rows as lines without the blanks at their ends."""

    def draw(*rows, width=120):
        return [line.rstrip() for line in drawn(review.rows(rows, "Rows"), width).splitlines()]

    return draw


def test_the_chosen_answer_is_marked_and_its_regret_is_what_the_best_had_more(lines):
    one = row(option("a", "가의 답", 0.55), option("b", "나의 답", 0.4, chosen=True))
    assert lines(one) == [
        "Rows",
        "",
        "dev_1: disagreement 60.00; another candidate is 15.00 better",
        "  a 55.00: 가의 답",
        "  → b 40.00: 나의 답",
        "  reference: 기준 요약",
    ]


def test_a_choice_that_is_best_costs_nothing(lines):
    one = row(option("a", "가의 답", 0.4), option("b", "나의 답", 0.4, chosen=True))
    assert "dev_1: disagreement 60.00; no candidate is better" in lines(one)


def test_without_references_agreement_stands_for_scores_and_regret_is_not_known(lines):
    one = row(
        option("a", "가의 답", None, expected=0.31),
        option("b", "나의 답", None, expected=0.42, chosen=True),
        references=(),
    )
    assert lines(one)[2:] == [
        "dev_1: disagreement 60.00",
        "  a 31.00: 가의 답",
        "  → b 42.00: 나의 답",
    ]


def test_decodings_that_say_the_same_share_a_line_which_is_marked_for_any_of_them(lines):
    long = "다른 답 " * 30
    shown = lines(
        row(
            option("run", "같은 답", 0.5, decode="greedy"),
            option("run", long, 0.3, decode="sample"),
            option("run", "같은 답", 0.5, decode="beam-4", chosen=True),
            option("solo", "혼자", 0.2),
        )
    )
    assert "  → run/greedy, run/beam-4 50.00: 같은 답" in shown
    assert "  solo 20.00: 혼자" in shown, "one decoding of a system needs no name"
    assert sum("→" in line for line in shown) == 1
    assert all(line.startswith("  ") for line in shown[3:]), "a long answer is set in throughout"
    assert "".join(" ".join(shown).split()).count("다른답") == 30


def test_every_reference_and_every_row_is_shown(lines):
    first = row(option("a", "", 0.0, chosen=True), references=("하나", "둘", "셋"))
    shown = lines(first, row(option("a", "답", 1.0, chosen=True), disagreement=0.0))
    assert [line for line in shown if "reference" in line] == [
        "  reference: 하나", "  reference: 둘", "  reference: 셋", "  reference: 기준 요약",
    ]  # fmt: skip
    assert "  → a 0.00: ∅" in shown, "an empty answer can be seen"
    assert sum(line.startswith("dev_1: ") for line in shown) == 2


def test_what_models_write_cannot_command_the_terminal(lines):
    shown = "\n".join(lines(row(option("\x1b[2Ja", "답\x1b[31m[red]\u202e", 0.5, chosen=True))))
    assert "답[31m[red]" in shown
    assert not {"\x1b", "\u202e"} & set(shown)
