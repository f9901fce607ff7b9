"""What a data experiment shows."""

import msgspec
import pytest

from yoyak import messages
from yoyak.experiments.data_experiment import ArmRows, DataExperiment
from yoyak.metrics.seed_comparison import SeedComparison
from yoyak.report.sections.blocks import Note, Table
from yoyak.terminal.experiment import shown, verdict
from yoyak.values import Interval


def experiment(difference, low, high, needed=None, other=()):
    result = SeedComparison(
        rows=499, seeds=3, mean=0.42 + difference, baseline_mean=0.42, difference=difference,
        interval=Interval(low=low, high=high), seed_deviation=0.004, detectable=0.021,
    )  # fmt: skip
    return DataExperiment(
        baseline=ArmRows(name="kobart", rows={"train": 12_457}),
        changed=ArmRows(name="kobart-data-1a2b", rows={"train": 12_457, "paraphrase": 6_000}),
        other_settings=other, comparison=result, seeds_needed=needed,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("numbers", "begins", "ends"),
    [
        ((0.02, 0.01, 0.03), "Proven: kobart-data-1a2b scores +2.00 points", "by 0.40 points."),
        ((-0.02, -0.03, -0.01), "Proven worse: kobart-data-1a2b", "by 0.40 points."),
        ((0.01, -0.01, 0.03, 9), "Not proven: kobart-data-1a2b", "--seeds 9"),
        ((0.01, -0.01, 0.03), "Not proven", "difference of 2.10 points or more."),
    ],
)
def test_the_verdict_and_what_it_would_take(numbers, begins, ends):
    with messages.speaking("en"):
        said = verdict(experiment(*numbers))
    assert said.startswith(begins)
    assert said.endswith(ends)


def test_both_sides_stand_with_the_rows_they_were_trained_on():
    with messages.speaking("en"):
        table, note, _ = shown(experiment(0.01, -0.01, 0.03, other=("train.epochs",)))
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["kobart", "kobart-data-1a2b"]
    assert table.rows[1][-1] == "train 12,457, paraphrase 6,000"
    assert isinstance(note, Note)
    assert "train.epochs" in msgspec.json.encode(note.text).decode()
