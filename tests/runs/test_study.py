"""The record of a study: read as written, damaged or newer refused, one process at a time."""

import msgspec
import pytest

from support.studies import train_study
from yoyak.errors import BadData, Interrupted
from yoyak.metrics.seed_comparison import SeedComparison
from yoyak.runs.study import (
    StudyFolder,
    StudyKind,
    StudyVerdict,
    Trial,
    TrialState,
    hidden_runs,
    read_studies,
)
from yoyak.values import Interval


def trial(number, scores=(), **changes):
    state = TrialState.FINISHED if scores else TrialState.PRUNED
    known = {"candidate": number, "recipe": "x", "sets": (), "run": f"run-{number}", "seconds": 2.0}
    return Trial(number=number, state=state, scores=scores, **(known | changes))


TRIALS = (trial(0, (0.2, 0.3)), trial(1), trial(2, (0.3, 0.4)), trial(3, (0.4, 0.3)))


@pytest.fixture
def folder(workspace):
    return StudyFolder(workspace.studies_folder, StudyKind.TRAIN, "x")


def test_the_best_is_the_earliest_of_the_highest_in_the_last_round():
    study = msgspec.structs.replace(train_study(), trials=TRIALS)
    assert (study.best.number, study.baseline.number) == (2, 0)
    assert study.seconds == 8.0
    halved = (*TRIALS, trial(4, (0.1, 0.1), rung=1, candidate=0), trial(5, (0.2, 0), rung=1))
    study = msgspec.structs.replace(study, trials=halved)
    assert (study.best.number, study.baseline.number) == (4, 4)


def test_a_record_that_is_damaged_or_newer_is_refused_by_its_path(folder):
    folder.write(train_study())
    path = folder.path / "study.json"
    path.write_bytes(path.read_bytes().replace(b'"format": 1', b'"format": 9'))
    with pytest.raises(BadData, match=r"study\.json"):
        folder.read()
    path.write_text("{", encoding="utf-8")
    found, [(damaged, error)] = read_studies(folder.path.parent)
    assert (found, damaged, error.key) == ([], path, "runs.bad-record")
    assert hidden_runs(folder.path.parent) == frozenset()


def test_one_process_works_on_a_study(folder):
    with folder.lock():
        other = StudyFolder(folder.path.parent, StudyKind.TRAIN, "x")
        with pytest.raises(Interrupted, match="another process"), other.lock():
            pass
    with folder.lock():
        pass


@pytest.mark.parametrize("low", [-0.01, 0.01])
def test_of_a_study_only_a_proven_winner_is_shown_among_the_runs(folder, workspace, low):
    study = msgspec.structs.replace(train_study(), trials=TRIALS)
    folder.write(study)
    everything = {"run-0", "run-1", "run-2", "run-3"}
    assert hidden_runs(workspace.studies_folder) == everything
    compared = SeedComparison(
        rows=60, seeds=3, mean=0.4, baseline_mean=0.38, difference=0.02,
        interval=Interval(low=low, high=0.05), seed_deviation=0.01, detectable=0.03,
    )  # fmt: skip
    verdict = StudyVerdict(winner=2, comparison=compared, looks=1)
    folder.write(msgspec.structs.replace(study, verdict=verdict))
    assert hidden_runs(workspace.studies_folder) == everything - ({"run-2"} if low > 0 else set())


def test_studies_of_any_name_have_folders_of_their_own(workspace):
    names = ["kobart", "코바트", "미니", "KoBART", "a" * 80]
    folders = [StudyFolder(workspace.studies_folder, StudyKind.TRAIN, name).path for name in names]
    assert folders[0].name == "train-kobart"
    assert len(set(folders)) == len(names)
    assert all(folder.name.isascii() for folder in folders)
