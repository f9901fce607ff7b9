"""The figures for machines: ×100 as people quote them, the whole card as fractions beside them."""

import json
from pathlib import Path

import msgspec
import pytest

from support.studies import scored_study
from yoyak.report.model.build import build
from yoyak.report.model.studies import summarise
from yoyak.report.render.json import ScoreFile, figures, score_file, status_json
from yoyak.runs.workspace import Workspace
from yoyak.values import Interval, Rouge

EXAMPLE = Path(__file__).parents[3] / "docs" / "example" / "finished"


@pytest.fixture(scope="module")
def card():
    """A recorded scorecard with figures that are known here."""
    recorded = Workspace(EXAMPLE).runs()[0].scorecard("dev")
    return msgspec.structs.replace(
        recorded,
        rouge=Rouge(rouge1=0.3, rouge2=0.12, rougeL=0.27),
        interval=Interval(low=0.2, high=0.26),
    )


@pytest.fixture(scope="module")
def printed(card):
    """What a program reads that knows JSON and nothing of yoyak."""
    return json.loads(msgspec.json.encode(score_file(card)))


def test_the_figures_are_those_that_people_quote(printed):
    quoted = {key: printed[key] for key in ("rouge1", "rouge2", "rougeL", "mean", "sum")}
    assert quoted == pytest.approx(
        {"rouge1": 30.0, "rouge2": 12.0, "rougeL": 27.0, "mean": 23.0, "sum": 69.0}
    )
    assert printed["interval"] == pytest.approx([20.0, 26.0])


def test_the_scale_of_every_figure_stands_beside_it(printed):
    assert printed["scale"] == "rouge1, rouge2, rougeL, mean: 0 to 100; sum: 0 to 300; card: 0 to 1"
    assert printed["card"]["rouge"]["rouge1"] == 0.3
    assert printed["card"]["interval"]["high"] == 0.26


def test_the_file_reads_back_as_it_was_written(card):
    file = score_file(card)
    assert msgspec.json.decode(msgspec.json.encode(file), type=ScoreFile) == file
    assert file.card == card


def test_rows_protocol_and_alarms_are_the_cards(printed, card):
    assert printed["rows"] == len(card.rows) == 96
    assert printed["signature"] == card.protocol.signature
    assert printed["alarms"] == [alarm.key for alarm in card.alarms]
    assert printed["alarms"], "the example has some"


def test_a_floor_that_could_not_be_computed_is_absent_and_not_zero(printed, card):
    assert printed["floors"].keys() == {"constant", "unrelated", "lead"}
    assert printed["floors"]["constant"]["mean"] == pytest.approx(100 * card.floors.constant.mean)
    floors = msgspec.structs.replace(card.floors, unrelated=None)
    file = score_file(msgspec.structs.replace(card, floors=floors))
    assert file.floors.keys() == {"constant", "lead"}


def test_status_says_which_means_can_be_compared(make):
    toy = make.toy_run()
    basis = msgspec.structs.replace(make.basis, dev_sha256="f" * 8)
    elsewhere = toy._replace(
        quality=msgspec.structs.replace(toy.quality, basis=basis), difference=None
    )
    view = build([make.lead_run(), elsewhere, make.cut_run()], make.rest())
    lead, other, unscored = json.loads(status_json(view))["runs"]
    assert lead["basis"] == msgspec.to_builtins(make.basis)
    assert other["basis"] == {**lead["basis"], "dev_sha256": "f" * 8}
    assert (unscored["mean"], unscored["basis"]) == (None, None)


def test_a_perfect_answer_is_100_and_its_sum_300():
    best = figures(Rouge(rouge1=1.0, rouge2=1.0, rougeL=1.0))
    assert (best.rouge1, best.mean, best.sum) == (100.0, 100.0, 300.0)


def test_status_has_the_studies_with_their_progress(view):
    study = summarise(scored_study(0.3, 0.35), "studies/train-x/study.json", intervals=False)
    shown = json.loads(status_json(msgspec.structs.replace(view, studies=(study,))))
    [found] = shown["studies"]
    assert (found["name"], found["planned"], found["winner"]) == ("x", 2, "r 8")
    assert [one["state"] for one in found["trials"]] == ["finished", "finished"]
