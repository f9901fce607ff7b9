"""What a reader is told of a study: each verdict in words, chance, cost."""

import msgspec
import pytest

from support.studies import train_study
from yoyak import messages
from yoyak.metrics.seed_comparison import SeedComparison
from yoyak.report.model.studies import summarise
from yoyak.report.sections.blocks import Chart, Note, Table, shown
from yoyak.report.sections.studies import plan, study, verdict
from yoyak.runs.study import StudyVerdict, Trial, TrialState
from yoyak.values import Interval


def trial(number, *scores, **changes):
    known = {
        "candidate": number, "recipe": "x", "sets": (), "run": f"r{number}", "seconds": 60.0,
        "state": TrialState.FINISHED, "label": f"r {8 * number}" if number else "",
    }  # fmt: skip
    return Trial(number=number, scores=scores, **(known | changes))


TRIALS = (
    trial(0, 0.2, 0.3, 0.4),
    trial(1, state=TrialState.PRUNED),
    trial(2, 0.3, 0.5, 0.4),
    trial(3, state=TrialState.FAILED, problem="out of memory\nTraceback"),
)


def compared(low, high, **changes):
    known = {
        "rows": 249, "seeds": 3, "mean": 0.41, "baseline_mean": 0.4, "difference": 0.01,
        "interval": Interval(low=low, high=high), "seed_deviation": 0.005, "detectable": 0.02,
    }  # fmt: skip
    return SeedComparison(**(known | changes))


def summary(found, **changes):
    known = {"trials": TRIALS, "verdict": found} | changes
    return summarise(msgspec.structs.replace(train_study(), **known), "studies/x/study.json")


def words(one):
    return " ".join(block.text for block in study(one) if isinstance(block, Note))


@pytest.mark.parametrize(
    ("found", "short", "said"),
    [
        (StudyVerdict(winner=2, comparison=compared(0.002, 0.018), looks=1), "better", "Proven"),
        (
            StudyVerdict(winner=2, comparison=compared(-0.002, 0.022), looks=2),
            "not proven",
            "would prove a true gain of 2.00. 2 winners were judged",
        ),
        (
            StudyVerdict(winner=2, comparison=compared(0, 0, interval=None, seeds=1)),
            "not proven",
            "With a single seed nobody knows",
        ),
        (StudyVerdict(winner=0), "keep the recipe", "keep it"),
        (None, "–", "All runs of the study together took 4 min"),
    ],
)
def test_every_verdict_is_said_in_words(found, short, said):
    one = summary(found)
    assert verdict(one) == short
    assert said in words(one)
    with messages.speaking("ko"):
        assert words(one)


def test_a_gain_that_choosing_alone_would_give_is_named():
    assert "If all 2 trials were equally good" in words(summary(None))
    assert any(isinstance(block, Chart) for block in study(summary(None)))


def test_stopped_and_failed_trials_are_shown_as_such_and_why():
    blocks = list(study(summary(None)))
    [table] = [block for block in blocks if isinstance(block, Table)]
    assert [shown(row[1]) for row in table.rows] == [
        "finished", "stopped early", "finished", "failed",
    ]  # fmt: skip
    assert shown(table.rows[0][2]) == "the recipe as it is"
    assert any(
        "3: out of memory" in str(block) and "Traceback" not in str(block) for block in blocks
    )


def test_the_plan_counts_every_run_and_shows_the_ranges():
    blocks = list(plan(train_study(trials=8, seeds=3), 120.0))
    assert "8 trials, then 6 runs with fresh seeds to judge the winner: 14 runs" in blocks[0].text
    assert "about 2 min 00 s, all of them about 28 min 00 s" in blocks[1].text
    assert [shown(cell) for cell in blocks[2].rows[0]] == [
        "learning_rate", "1e-05 to 0.001, logarithmic",
    ]  # fmt: skip
