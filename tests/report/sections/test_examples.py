"""Texts to read: what the reference lacks and faults are marked, the chosen answer has a sign."""

import pytest

from yoyak import messages
from yoyak.ensemble.review import ReviewOption, ReviewRow
from yoyak.metrics.diagnostics import error_report
from yoyak.metrics.diagnostics.error_report import ErrorFound, RowDifference
from yoyak.metrics.diagnostics.error_types import ErrorType
from yoyak.metrics.diagnostics.text_patterns import TextSpan
from yoyak.report.model.report import Example
from yoyak.report.sections import examples
from yoyak.report.sections.blocks import TextPiece
from yoyak.report.sections.examples import sample
from yoyak.values import Rouge


def example(**changes):
    fields = {
        "id": "dev_0",
        "dialogue": "#Person1#: when?\n#Person2#: at six.",
        "references": ("they meet at six", "a second reference"),
        "answers": (("a", "they meet at nine", 0.5), ("b", "they meet at six", None)),
        "why": "worst",
    }
    return Example(**{**fields, **changes})


def test_words_that_no_reference_has_at_this_place_are_marked():
    wrong, right = sample(example()).answers
    assert [(piece.text, piece.is_marked) for piece in wrong.pieces] == [
        ("they meet at ", False), ("nine", True),
    ]  # fmt: skip
    assert [piece.is_marked for piece in right.pieces] == [False]


def test_what_any_reference_has_is_not_marked():
    references = ("they meet at six", "both see each other at nine")
    (answer,) = sample(
        example(references=references, answers=(("a", "they meet at nine today", 0.5),))
    ).answers
    assert [(piece.text, piece.is_marked) for piece in answer.pieces] == [
        ("they meet at nine ", False), ("today", True),
    ]  # fmt: skip


def test_without_a_reference_all_is_new():
    (answer, _) = sample(example(references=())).answers
    assert answer.pieces == (TextPiece("they meet at nine", is_marked=True),)


def test_each_turn_is_a_line_and_a_score_that_is_not_known_a_dash():
    shown = sample(example())
    assert shown.dialogue == ("#Person1#: when?", "#Person2#: at six.")
    assert [answer.score for answer in shown.answers] == ["50.00", "–"]


@pytest.mark.parametrize("chosen", [None, 0, 1])
def test_only_the_blends_choice_is_marked_as_chosen(chosen):
    answers = sample(example(chosen=chosen)).answers
    assert [at for at, one in enumerate(answers) if one.chosen] == (
        [] if chosen is None else [chosen]
    )


@pytest.mark.parametrize("language", messages.LANGUAGES)
@pytest.mark.parametrize("why", ["worst", "best", "unlike", "disagreement", "regret"])
def test_why_a_dialogue_is_shown_is_said_in_both_languages(why, language):
    with messages.speaking(language):
        assert sample(example(why=why)).why == messages.text(f"report.example-{why}")


def spans(text, *places):
    return [TextSpan(start=start, end=end, text=text[start:end]) for start, end in places]


def test_a_model_cannot_paint_the_terminal(drawn):
    found = error_report.find_errors(
        {"dev_1": "\x1b[31m[red]会議[/red]\x1b[0m 끝."}, {"dev_1": ("회의를 한다.",)}
    )
    shown = drawn(examples.faults(found), 200)
    assert "\x1b" not in shown
    assert "[red]⟦会議⟧[/red]" in shown


def fault(kind, key, text, *places):
    return ErrorFound(fault=kind, id=key, text=text, spans=tuple(spans(text, *places)))


def test_each_kind_is_counted_in_full_and_shows_its_first_rows(drawn):
    many = [fault(ErrorType.FOREIGN_SCRIPT, f"dev_{n}", "会議", (0, 2)) for n in range(1200)]
    found = (fault(ErrorType.EMPTY, "dev_7", ""), *many)
    shown = [line.rstrip() for line in drawn(examples.faults(found, limit=2)).splitlines()]
    assert [line for line in shown if line] == [
        "empty: 1",
        "  dev_7: ∅",
        "foreign script: 1,200",
        "  dev_0: ⟦会議⟧",
        "  dev_1: ⟦会議⟧",
    ]


def test_no_fault_is_said_too(drawn):
    assert drawn(examples.faults(())).strip() == "no fault found"


def rouge(mean):
    return Rouge(rouge1=mean, rouge2=mean, rougeL=mean)


def difference(**changes):
    usual = {
        "id": "dev_3", "one": rouge(0.4), "other": rouge(0.65), "one_text": "짧은 요약",
        "other_text": "긴 요약", "references": ("기준 하나", "기준 둘"),
    } | changes  # fmt: skip
    return RowDifference(**usual)


def test_differing_rows_show_both_texts_their_scores_the_references_and_the_gap(drawn):
    shown = drawn(examples.differences([difference()], ("lead", "코바트"))).splitlines()
    assert [line.rstrip() for line in shown if line.strip()] == [
        "Rows on which lead and 코바트 differ most (mean F1, points of 0–100)",
        "dev_3: −25.00",
        "  lead 40.00: 짧은 요약",
        "  코바트 65.00: 긴 요약",
        "  reference: 기준 하나",
        "  reference: 기준 둘",
    ]


@pytest.mark.parametrize("width", [80, 120])
def test_a_long_text_is_set_in_on_every_line_and_loses_nothing(drawn, columns_of, width):
    text = "가나다라마바사 " * 40
    shown = drawn(examples.differences([difference(one_text=text)], ("lead", "kobart")), width)
    assert "".join(shown.split()).count("가나다라마바사") == 40
    assert all(columns_of(line.rstrip()) <= width for line in shown.splitlines())
    assert all(line.startswith("  ") for line in shown.splitlines() if "가나" in line)


def test_an_empty_summary_can_be_seen_and_names_are_disarmed(drawn):
    shown = drawn(examples.differences([difference(one_text="\x07 ")], ("\x1b[2Jlead", "[b]x[/b]")))
    assert "[2Jlead 40.00: ∅" in shown
    assert "[b]x[/b] 65.00: 긴 요약" in shown
    assert not {"\x1b", "\x07"} & set(shown)


def option(system, text, score, *, decode="greedy", expected=0.3, chosen=False):
    return ReviewOption(
        system=system, decode=decode, text=text, expected=expected, score=score, chosen=chosen
    )


def review_row(*options, references=("기준 요약",), disagreement=0.6):
    return ReviewRow(
        id="dev_1", dialogue="", references=references, options=options, disagreement=disagreement
    )


@pytest.fixture
def lines(drawn):
    """Draw rows as lines without the blanks at their ends."""

    def draw(*rows, width=120):
        return [line.rstrip() for line in drawn(examples.review(rows, "Rows"), width).splitlines()]

    return draw


def test_the_chosen_answer_is_marked_and_its_regret_is_what_the_best_had_more(lines):
    one = review_row(option("a", "가의 답", 0.55), option("b", "나의 답", 0.4, chosen=True))
    assert lines(one) == [
        "Rows",
        "",
        "dev_1: disagreement 60.00; another candidate is 15.00 better",
        "  a 55.00: 가의 답",
        "  → b 40.00: 나의 답",
        "  reference: 기준 요약",
    ]


def test_a_choice_that_is_best_costs_nothing(lines):
    one = review_row(option("a", "가의 답", 0.4), option("b", "나의 답", 0.4, chosen=True))
    assert "dev_1: disagreement 60.00; no candidate is better" in lines(one)


def test_without_references_agreement_stands_for_scores_and_regret_is_not_known(lines):
    one = review_row(
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
        review_row(
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
    first = review_row(option("a", "", 0.0, chosen=True), references=("하나", "둘", "셋"))
    shown = lines(first, review_row(option("a", "답", 1.0, chosen=True), disagreement=0.0))
    assert [line for line in shown if "reference" in line] == [
        "  reference: 하나", "  reference: 둘", "  reference: 셋", "  reference: 기준 요약",
    ]  # fmt: skip
    assert "  → a 0.00: ∅" in shown, "an empty answer can be seen"
    assert sum(line.startswith("dev_1: ") for line in shown) == 2


def test_what_models_write_cannot_command_the_terminal(lines):
    hostile = option("\x1b[2Ja", "답\x1b[31m[red]\u202e", 0.5, chosen=True)
    shown = "\n".join(lines(review_row(hostile)))
    assert "답[31m[red]" in shown
    assert not {"\x1b", "\u202e"} & set(shown)
