"""Studies of training from a recipe to a verdict, with Optuna asking."""

import msgspec
import pytest

from support.studies import DrawnRuns, Records, context_of, train_study
from yoyak.config import load
from yoyak.errors import UsageError
from yoyak.experiments.begin_study import StudyBudget
from yoyak.experiments.train_study import ask, new_study, record, run_study
from yoyak.runs.study import StudyFolder, StudyKind


@pytest.fixture
def kobart():
    return load.resolve("kobart").recipe


def test_tpe_finds_a_planted_rate_and_a_batch_of_trials_is_asked_for_at_a_time(kobart, corpus):
    study = new_study(kobart, corpus, StudyBudget(trials=8, width=2), name="kobart")
    own = kobart.train.learning_rate
    runs = DrawnRuns(lambda params: 0.05 * (params["learning_rate"] > 2 * own))
    found = run_study(study, kobart, context_of(runs, Records(study)))
    assert found.trial(0).sets == ()
    assert found.trial(0).params["learning_rate"] == own
    assert found.trial(found.verdict.winner).params["learning_rate"] > 2 * own
    assert found.verdict.comparison.proven


def test_what_was_imported_is_tried_right_after_the_recipe(kobart, corpus):
    queue = ({"learning_rate": 3e-5}, {"epochs": 2.0})
    study = new_study(kobart, corpus, StudyBudget(trials=4), name="kobart")
    study = msgspec.structs.replace(study, queue=queue)
    assert ask(kobart, study, 1).sets == ("train.learning_rate=3e-05",)
    assert ask(kobart, study, 2).sets == ("train.epochs=2",)
    assert ask(kobart, study, 2).label == "epochs 2"
    assert ask(kobart, study, 3).params.keys() == study.ranges.keys()


def test_a_single_trial_compares_nothing(kobart, corpus):
    with pytest.raises(UsageError, match="--trials 2 or more"):
        new_study(kobart, corpus, StudyBudget(trials=1), name="kobart")


def test_the_record_is_read_back_as_it_was_written(tmp_path):
    folder = StudyFolder(tmp_path, StudyKind.TRAIN, "x")
    study = train_study()
    assert folder.read() is None
    record(folder, study)
    assert folder.read() == study
    assert folder.optuna_path.is_file()
