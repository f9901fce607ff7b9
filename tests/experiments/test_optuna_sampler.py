"""What is asked is a function of the trials; what is stored is what Optuna reads."""

import sys

import optuna
import pytest

from support.studies import RATE
from yoyak.config.schema import SearchRange
from yoyak.errors import CannotWrite, InputMissing, Unavailable
from yoyak.experiments.optuna_sampler import best_settings, suggest, write_storage
from yoyak.experiments.search_space import contains
from yoyak.runs.study import Trial, TrialState

RANGES = {
    "learning_rate": RATE,
    "epochs": SearchRange(low=1, high=5),
    "r": SearchRange(values=(8, 16, 32)),
}


def trial(number, rate, score, state=TrialState.FINISHED, **params):
    return Trial(
        number=number, candidate=number, recipe="x", sets=(), state=state, run=f"run-{number}",
        params={"learning_rate": rate, "epochs": 2, "r": 16} | params, evaluations=(0.1,),
        scores=(score,) if state is TrialState.FINISHED else (), seconds=1.0,
    )  # fmt: skip


TRIALS = [
    trial(0, 2e-5, 0.1),
    trial(1, 2e-4, 0.4),
    trial(2, 9e-4, 0.0, TrialState.PRUNED),
    trial(3, 3e-4, 0.41),
    trial(4, 2e-5, 0.0, TrialState.FAILED),
    trial(5, 4e-5, 0.2),
]


def test_the_same_trials_and_number_ask_for_the_same_and_another_number_for_something_else():
    asked = [suggest(RANGES, TRIALS, seed=42, number=number) for number in (6, 6, 7)]
    assert asked[0] == asked[1] != asked[2]
    assert suggest(RANGES, TRIALS[:5], seed=42, number=6) != asked[0]


@pytest.mark.parametrize("number", range(6, 12))
def test_what_is_asked_lies_in_the_ranges_and_is_short(number):
    asked = suggest(RANGES, TRIALS, seed=42, number=number)
    assert all(contains(name, RANGES[name], value) for name, value in asked.items())
    assert float(f"{asked['learning_rate']:.3g}") == asked["learning_rate"]


def test_good_values_are_asked_for_more_often():
    known = [trial(at, 10 ** (-5 + at / 10), 0.2 - abs(at - 14) / 100) for at in range(20)]
    rates = [
        suggest(RANGES, known, seed=1, number=number)["learning_rate"] for number in range(20, 50)
    ]
    best = 10 ** (-5 + 1.4)
    assert sum(best / 2 < rate < best * 2 for rate in rates) > 20  # 9 of 30 by chance


def test_optuna_reads_the_same_trials(tmp_path):
    path = tmp_path / "optuna.db"
    for until in (3, len(TRIALS)):
        write_storage(path, RANGES, TRIALS[:until])
    found = optuna.load_study(study_name="yoyak", storage=f"sqlite:///{path}").trials
    assert [one.user_attrs["run"] for one in found] == [one.run for one in TRIALS]
    assert [one.params["learning_rate"] for one in found] == [
        one.params["learning_rate"] for one in TRIALS
    ]
    assert [one.value for one in found] == [0.1, 0.4, None, 0.41, None, 0.2]
    assert found[2].intermediate_values == {1: 0.1}
    names = [one.state.name for one in found]
    assert names == ["COMPLETE", "COMPLETE", "PRUNED", "COMPLETE", "FAIL", "COMPLETE"]


def test_a_damaged_storage_is_named_and_can_be_made_anew(tmp_path):
    path = tmp_path / "optuna.db"
    path.write_bytes(b"no database, but long enough to be looked at" * 99)
    with pytest.raises(CannotWrite, match=r"optuna\.db.*delete it"):
        write_storage(path, RANGES, TRIALS)


def test_the_best_settings_of_another_study_are_taken_over(tmp_path):
    url = f"sqlite:///{tmp_path / 'theirs.db'}"
    theirs = optuna.create_study(study_name="a", storage=url, direction="minimize")
    kinds = optuna.distributions
    for rate, rank, loss in ((3e-4, 16, 2.0), (1e-4, 64, 1.0), (5.0, 8, 0.5), (2e-4, 8, 1.5)):
        theirs.add_trial(
            optuna.trial.create_trial(
                value=loss,
                params={"train.learning_rate": rate, "lora.r": rank, "momentum": 0.9},
                distributions={
                    "train.learning_rate": kinds.FloatDistribution(1e-6, 10.0),
                    "lora.r": kinds.IntDistribution(1, 64),
                    "momentum": kinds.FloatDistribution(0, 1),
                },
            )
        )
    address = str(tmp_path / "theirs.db")
    assert best_settings(address, RANGES, 3) == (
        {"r": 8}, {"learning_rate": 1e-4}, {"learning_rate": 2e-4, "r": 8},
    )  # fmt: skip
    assert best_settings(f"{address}#a", RANGES, 1) == best_settings(f"{url}#a", RANGES, 1)
    with pytest.raises(InputMissing, match="these studies: a"):
        best_settings(f"{address}#b", RANGES, 1)
    with pytest.raises(InputMissing, match="lie in the ranges of epochs"):
        best_settings(address, {"epochs": RANGES["epochs"]}, 1)
    with pytest.raises(InputMissing, match="no such file"):
        best_settings(str(tmp_path / "none.db"), RANGES, 1)


def test_without_optuna_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(Unavailable, match=r"pip install 'yoyak\[tune\]'"):
        suggest(RANGES, [], seed=1, number=0)
