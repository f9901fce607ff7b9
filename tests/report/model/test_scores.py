"""What scorecards say together: nothing is ranked across protocols or without its interval."""

from pathlib import Path

import msgspec
import pytest

from yoyak.metrics.significance import Verdict
from yoyak.report.model import scores
from yoyak.runs.workspace import Workspace
from yoyak.values import Rouge

WORKSPACE = Workspace(Path(__file__).parents[3] / "docs" / "example" / "finished")


@pytest.fixture(scope="module")
def runs():
    """The recorded runs of the docs: lead, tiny-bart, tiny-qlora."""
    return WORKSPACE.runs()


@pytest.fixture(scope="module")
def cards(runs):
    return {run.name: run.scorecard("dev") for run in runs}


def scored(card, means):
    """``card`` as if its rows had these means (all three measures alike)."""
    rows = tuple(
        msgspec.structs.replace(row, rouge=Rouge(rouge1=mean, rouge2=mean, rougeL=mean))
        for row, mean in zip(card.rows, means, strict=True)
    )
    whole = sum(means) / len(means)
    rouge = Rouge(rouge1=whole, rouge2=whole, rougeL=whole)
    return msgspec.structs.replace(card, rows=rows, rouge=rouge)


def elsewhere(card):
    """``card`` as scored against other references."""
    other = msgspec.structs.replace(card.protocol, data_sha256="f" * 64)
    return msgspec.structs.replace(card, protocol=other)


@pytest.fixture
def three(cards):
    """Systems of known standing: ``close`` wins as often as it loses, ``low`` always loses."""
    card = next(iter(cards.values()))
    top = [0.3 + 0.004 * number for number in range(card.n)]
    close = [mean + (0.02 if number % 2 else -0.021) for number, mean in enumerate(top)]
    low = [mean - 0.2 for mean in top]
    return {name: scored(card, of) for name, of in (("top", top), ("close", close), ("low", low))}


def test_the_interval_of_each_measure_is_its_own_and_holds_it(cards):
    for card in cards.values():
        found = scores.quality(card, "x/scores/dev.json")
        for measure in (found.rouge1, found.rouge2, found.rougeL, found.mean):
            assert measure.interval.low <= measure.value <= measure.interval.high
        assert found.mean.interval == card.interval
        assert found.rouge == card.rouge
    bart = scores.quality(cards[next(name for name in cards if "tiny-bart" in name)], "x")
    assert bart.rouge1.interval != bart.rouge2.interval


def test_without_intervals_the_figures_are_the_same_and_the_intervals_unknown(cards):
    card = next(iter(cards.values()))
    found = scores.quality(card, "x", intervals=False)
    assert found.rouge == card.rouge
    assert (found.rouge1.interval, found.rouge2.interval, found.rougeL.interval) == (None,) * 3


def test_the_baseline_is_the_run_of_the_first_turns_wherever_it_stands(runs, cards):
    lead = next(run.name for run in runs if run.recipe.engine == "lead")
    assert scores.baseline(runs[::-1], cards) == lead
    learned = {name: card for name, card in cards.items() if name != lead}
    assert scores.baseline(runs, learned) == runs[1].name, "else the oldest that was scored"
    assert scores.baseline(runs, {}) is None


def test_differences_are_those_of_the_means_with_their_sign(three):
    found = scores.differences(three, "top")
    assert found.keys() == {"close", "low"}
    assert found["low"].mean.value == pytest.approx(-0.2)
    assert found["low"].verdict is Verdict.WORSE
    assert found["low"].mean.interval.high < 0
    assert found["close"].verdict is not Verdict.WORSE
    assert found["close"].mean.interval.low < 0 < found["close"].mean.interval.high
    assert all(one.baseline == "top" for one in found.values())


def test_a_run_that_was_scored_under_another_protocol_is_compared_with_none(three):
    mixed = {**three, "low": elsewhere(three["low"])}
    assert scores.differences(mixed, "top").keys() == {"close"}
    assert scores.differences(mixed, "low") == {}


def test_the_tied_are_the_best_and_what_the_rows_cannot_tell_from_it(three):
    assert scores.tied_with_best(three) == {"top", "close"}
    assert scores.tied_with_best({}) == frozenset()


def test_under_another_protocol_a_run_is_never_tied_with_the_best(three):
    mixed = {**three, "close": elsewhere(three["close"])}
    assert scores.tied_with_best(mixed) == {"top"}


def test_floors_are_said_once_for_each_protocol(runs, cards):
    found = list(scores.floors(WORKSPACE, runs, cards))
    assert [one.name for one in found] == ["constant", "unrelated"]
    assert all((WORKSPACE.folder / one.record).is_file() for one in found)
    mixed = {**cards, runs[2].name: elsewhere(cards[runs[2].name])}
    found = list(scores.floors(WORKSPACE, runs, mixed))
    assert [one.name for one in found] == ["constant", "unrelated"] * 2
    assert len({one.signature for one in found}) == 2


def test_a_floor_that_could_not_be_computed_is_left_out(runs, cards):
    name = runs[0].name
    floors = msgspec.structs.replace(cards[name].floors, unrelated=None)
    card = msgspec.structs.replace(cards[name], floors=floors)
    assert [one.name for one in scores.floors(WORKSPACE, runs, {name: card})] == ["constant"]
