"""Summaries of studies, against the scores they are made of."""

import msgspec
import pytest

from support.studies import DrawnRuns, Records, context_of, train_study
from yoyak.experiments.study_loop import judge, search
from yoyak.report.model.studies import gather_studies, summarise
from yoyak.runs.study import StudyFolder, StudyKind, Trial, TrialState


def carried_out(**changes):
    study = train_study(**changes)

    def ask(_, number):
        params = {"learning_rate": 1e-4 * (1 + number)}
        sets = (f"train.learning_rate={params['learning_rate']}",) if number else ()
        return Trial(
            number=number, candidate=number, recipe="x", sets=sets, params=params,
            label=f"rate {number}" if number else "",
        )  # fmt: skip

    runs = DrawnRuns(lambda params: 100 * params["learning_rate"])
    context = context_of(runs, Records(study))
    return judge(search(study, ask, context, may_stop=False), context, base_seed=1)


STUDY = carried_out(trials=5)


def test_each_trial_has_its_mean_its_paired_difference_and_the_best_so_far():
    found = summarise(STUDY, "studies/x/study.json")
    means = [one.mean.value for one in found.trials]
    assert means == pytest.approx([one.mean for one in STUDY.trials])
    assert found.trials[0].difference is None
    for one in found.trials[1:]:
        assert one.difference.value == pytest.approx(one.mean.value - means[0])
        width = one.difference.interval.high - one.difference.interval.low
        assert width < one.mean.interval.high - one.mean.interval.low  # rows are as hard for both
    best = [one.best_so_far for one in found.trials]
    assert best == [max(means[: at + 1]) for at in range(5)]
    assert (found.confirmed, found.winner) == (6, STUDY.trial(STUDY.verdict.winner).label)
    assert [one.trials for one in found.chance] == [1, 2, 3, 4, 5]


def test_trials_without_scores_are_counted_and_take_no_part_in_chance():
    pruned = msgspec.structs.replace(STUDY.trials[2], state=TrialState.PRUNED, scores=())
    study = msgspec.structs.replace(
        STUDY, trials=(*STUDY.trials[:2], pruned, *STUDY.trials[3:]), verdict=None
    )
    found = summarise(study, "x")
    assert found.count(TrialState.PRUNED) == 1
    assert found.trials[2].mean is None
    assert found.trials[2].best_so_far == found.trials[1].best_so_far
    assert len(found.chance) == 4


def test_status_computes_no_statistics(workspace):
    StudyFolder(workspace.studies_folder, StudyKind.TRAIN, "x").write(STUDY)
    [found] = gather_studies(workspace, intervals=False)
    assert found.chance == ()
    assert found.trials[1].mean.interval is None
    assert found.record == "studies/train-x/study.json"
