"""Rounds that keep the better half, and a record that is never run twice."""

import pytest

from support.studies import DrawnRuns, Killed, Records, context_of, train_study
from yoyak.experiments.study_loop import TrialResult, judge
from yoyak.experiments.successive_halving import ZERO_SHOT, halve, most_trials, rounds_of
from yoyak.runs.study import Study, StudyKind, Trial, TrialState

ROUNDS = rounds_of(50)


def candidates(count: int) -> list[Trial]:
    return [
        Trial(
            number=at, candidate=at, recipe="x", label=str(at),
            sets=(f"prompt.instruction={at}",) if at else (),
        )
        for at in range(count)
    ]  # fmt: skip


class Ranked(DrawnRuns):
    """Runs whose quality is a candidate's place in a list, the last being the best."""

    def __init__(self, order, **named):
        super().__init__(lambda _: 0.0, luck=0.002, noise=0.01, **named)
        self.order = order

    def _result(self, job):
        found = super()._result(job)
        place = self.order.index(job.trial.candidate) / 50
        return found._replace(scores={row: one + place for row, one in found.scores.items()})


def halved(runs, count=6, kind=StudyKind.PROMPT, records=None) -> Study:
    study = records.study if records else train_study(kind=kind)
    return halve(study, candidates(count), ROUNDS, context_of(runs, records or Records(study)))


def test_the_better_half_goes_on_and_the_recipe_as_it_is_with_it():
    found = halved(Ranked([0, 3, 1, 5, 2, 4]))
    assert [one.candidate for one in found.trials] == [0, 1, 2, 3, 4, 5, 0, 2, 4, 5]
    assert {one.round_sets for one in found.trials if one.rung == 0} == {ZERO_SHOT}
    assert all("train.max_steps=50" in one.round_sets for one in found.trials if one.rung == 1)
    assert (found.best.candidate, found.baseline.candidate) == (4, 0)
    assert (found.best.rung, found.baseline.rung) == (1, 1)
    assert len(found.trials) <= most_trials(6, ROUNDS)


def test_a_screen_has_no_baseline_and_passes_over_what_cannot_be_used():
    runs = Ranked([0, 1, 2, 3])

    def missing(jobs):
        if jobs[0].trial.candidate == 0:
            return [TrialResult(TrialState.FAILED, None, problem="no such base")]
        return runs(jobs)

    found = halved(missing, count=4, kind=StudyKind.SCREEN)
    assert [one.candidate for one in found.trials] == [0, 1, 2, 3, 2, 3]
    assert found.baseline is None
    assert found.best.candidate == 3


def test_examples_are_shown_to_models_that_are_not_trained():
    few = Trial(number=2, candidate=2, recipe="x", sets=("prompt.examples=3",), label="few")
    trials = [*candidates(2), few]
    study = train_study(kind=StudyKind.PROMPT)
    context = context_of(Ranked([0, 1, 2]), Records(study))
    found = halve(study, trials, ROUNDS, context)
    assert found.trial(2).mean > found.trial(1).mean
    assert [one.candidate for one in found.trials if one.rung == 1] == [0, 1]


@pytest.mark.parametrize("at", range(1, 11, 2))
def test_rounds_that_are_killed_end_as_if_they_had_not_been(at):
    whole = halved(Ranked([0, 3, 1, 5, 2, 4]))
    records = Records(train_study(kind=StudyKind.PROMPT))
    with pytest.raises(Killed):
        halved(Ranked([0, 3, 1, 5, 2, 4], kill_at=at), records=records)
    assert halved(Ranked([0, 3, 1, 5, 2, 4]), records=records) == whole


def test_the_winner_is_judged_in_the_last_round_with_its_settings():
    runs = Ranked([0, 3, 1, 5, 2, 4])
    study = train_study(kind=StudyKind.PROMPT)
    context = context_of(runs, Records(study))
    found = judge(halve(study, candidates(6), ROUNDS, context), context, base_seed=1)
    assert found.trial(found.verdict.winner).candidate == 4
    assert found.verdict.comparison.proven
    assert {one.round_sets for one in found.confirmations} == {ROUNDS[1]}


def test_zero_shot_alone_is_one_round():
    assert rounds_of(0) == (ZERO_SHOT,)
    assert most_trials(5, rounds_of(0)) == 5
