"""A dialogue with its answers: what the reference does not say is marked, unknown is a dash."""

import pytest

from yoyak import messages
from yoyak.ensemble.gain import Gain
from yoyak.report.model.report import Blended, Example, Measured, Voter
from yoyak.report.sections.blocks import Note, SampleBlock, Table
from yoyak.report.sections.examples import blended, sample
from yoyak.values import Interval


def example(**changes):
    fields = {
        "id": "dev_0",
        "dialogue": "#Person1#: when?\n#Person2#: at six.",
        "references": ("they meet at six", "a second reference"),
        "answers": (("a", "they meet at nine", 0.5), ("b", "they meet at six", None)),
        "why": "worst",
    }
    return Example(**{**fields, **changes})


def blend(**changes):
    fields = {
        "number": "3",
        "method": "mbr",
        "voters": (Voter(system="a", decode="beam-4", votes=2.0),),
        "components": (1.0, 0.5, 2.0),
        "dev": Measured(value=0.3, interval=Interval(low=0.28, high=0.32)),
        "held_out": Gain(
            name="mbr", mean=0.3, difference=0.01, interval=Interval(low=0.002, high=0.018)
        ),
        "rows": (example(chosen=1),),
        "record": "submissions/3/manifest.json",
    }
    return Blended(**{**fields, **changes})


def notes(found):
    return [block.text for block in blended(found) if isinstance(block, Note)]


def test_words_that_the_first_reference_does_not_have_are_marked():
    wrong, right = sample(example()).answers
    assert [(piece.text, piece.is_new) for piece in wrong.pieces] == [
        ("they meet at", False), ("nine", True),
    ]  # fmt: skip
    assert [piece.is_new for piece in right.pieces] == [False]


def test_without_a_reference_all_is_new():
    (answer, _) = sample(example(references=())).answers
    assert [(piece.text, piece.is_new) for piece in answer.pieces] == [("they meet at nine", True)]


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


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_a_blend_says_its_score_its_weights_and_what_it_gains(language):
    with messages.speaking(language):
        handed_in, weights, gain, *_ = notes(blend())
    assert "30.00" in handed_in
    assert "28.00–32.00" in handed_in
    assert "1:0.5:2" in weights
    assert "+1.00" in gain
    assert "+0.20 … +1.80" in gain


def test_a_blend_that_was_not_learned_claims_no_gain_and_no_weights():
    said = notes(blend(held_out=None, components=None, rows=()))
    assert said[1:] == [messages.text("report.blend-not-learned")]


def test_voters_lead_to_the_record_and_the_rows_follow():
    blocks = list(blended(blend()))
    (table,) = [block for block in blocks if isinstance(block, Table)]
    ((link, decode, votes),) = table.rows
    assert (link.shown, link.record, decode, votes) == (
        "a", "submissions/3/manifest.json", "beam-4", "2",
    )  # fmt: skip
    assert isinstance(blocks[-1], SampleBlock)
    assert [one.chosen for one in blocks[-1].answers] == [False, True]
