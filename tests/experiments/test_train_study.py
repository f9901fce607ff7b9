"""Studies of training from a recipe to a verdict, with Optuna asking."""

import msgspec
import pytest

from support.studies import DrawnRuns, Records, context_of, train_study
from yoyak.config import load
from yoyak.errors import UsageError
from yoyak.experiments.begin_study import StudyBudget, continued
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


def test_a_study_goes_on_with_more_trials_but_not_with_other_settings_or_data(kobart, corpus):
    asked = new_study(kobart, corpus, StudyBudget(trials=4), name="kobart")
    more = new_study(kobart, corpus, StudyBudget(trials=9, seeds=5), name="kobart")
    assert continued(None, asked) == asked
    assert continued(asked, more) == msgspec.structs.replace(asked, trials_planned=9, seeds=5)
    other = load.resolve("kobart", sets=["train.weight_decay=0.3"]).recipe
    with pytest.raises(UsageError, match="other settings or ranges"):
        continued(asked, new_study(other, corpus, StudyBudget(trials=4), name="kobart"))
    elsewhere = msgspec.structs.replace(asked, dev_sha256="other")
    with pytest.raises(UsageError, match="other data"):
        continued(elsewhere, asked)


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
