"""Studies on a known truth: what is better is found and proven, what is not is not proven."""

import math
import random

import msgspec
import pytest
from scipy.stats import binom  # noqa: TID253 -- the bound of a simulation

from support.studies import DrawnRuns, Killed, Records, context_of, train_study
from yoyak.errors import RunFailed
from yoyak.experiments.study_loop import TrialResult, judge, search
from yoyak.runs.study import Study, Trial, TrialState


def asked_at_random(study: Study, number: int) -> Trial:
    """Ask as a sampler does, by seed and number only; trial 0 is the recipe as it is."""
    draw = random.Random(f"{study.seed}/{number}")
    params = {"learning_rate": 1e-5 if number == 0 else 10 ** draw.uniform(-5, -3)}
    sets = () if number == 0 else (f"train.learning_rate={params['learning_rate']}",)
    return Trial(number=number, candidate=number, recipe="kobart", sets=sets, params=params)


def carried_out(runs, study=None, ask=asked_at_random, records=None) -> Study:
    study = study or train_study()
    context = context_of(runs, records or Records(study))
    return judge(search(study, ask, context, may_stop=True), context, base_seed=1)


def planted(params):
    """Five points more at a rate between 2e-4 and 1e-3."""
    return 0.05 * (params["learning_rate"] > 2e-4)


def near_trial_5(params):
    """The nearer to the rate of trial 5 the better."""
    best = asked_at_random(train_study(), 5).params["learning_rate"]
    return -0.1 * abs(math.log10(params["learning_rate"] / best))


def nothing(_):
    return 0.0


def test_a_planted_better_setting_is_found_and_proven():
    found = carried_out(DrawnRuns(planted))
    winner = found.trial(found.verdict.winner)
    assert winner.params["learning_rate"] > 2e-4
    assert found.verdict.comparison.proven
    assert found.verdict.comparison.interval.low < 0.05 < found.verdict.comparison.interval.high


def test_a_setting_without_an_effect_is_proven_in_at_most_one_study_of_twenty():
    times, proven = 150, 0
    for truth in range(times):
        found = carried_out(DrawnRuns(nothing, luck=0.02, truth=truth))
        compared = found.verdict.comparison
        proven += compared is not None and compared.proven
    # 95 % two-sided: 2.5 % of studies. The bound of 5 % is what is promised.
    assert proven <= binom.ppf(0.99, times, 0.025) <= 0.06 * times


def test_luck_of_the_winners_seed_is_not_taken_for_its_settings():
    """The winner's own run is lucky, since it won; only fresh seeds are judged."""
    times, lucky, proven = 60, 0, 0
    for truth in range(times):
        found = carried_out(DrawnRuns(nothing, luck=0.05, noise=0.02, truth=truth))
        winner = found.trial(found.verdict.winner)
        lucky += winner.mean - found.trial(0).mean > 0.05
        judged = [one for one in found.confirmations if one.repeats == winner.number]
        assert winner.run not in {one.run for one in judged}
        proven += found.verdict.comparison is not None and found.verdict.comparison.proven
    assert lucky > times / 2
    assert proven <= binom.ppf(0.999, times, 0.025)


def test_nothing_that_chose_is_judged_on():
    runs = DrawnRuns(planted)
    found = carried_out(runs)
    first = found.trial(0)
    assert len(first.scores) == found.selection_rows
    assert found.verdict.comparison.rows == found.judging_rows
    assert {one.repeats for one in found.confirmations} == {0, found.verdict.winner}
    seeds = {one.sets[-1] for one in found.confirmations}
    assert seeds == {f"train.seed={1001 + at}" for at in range(3)}


@pytest.mark.parametrize("width", [1, 3])
def test_a_study_that_is_killed_anywhere_ends_as_one_that_was_not(width):
    study = train_study(width=width)
    records, runs = Records(study), DrawnRuns(planted)
    whole = carried_out(runs, study, records=records)
    for kind, last in (("run", len(runs.asked)), ("write", records.writes)):
        for first in range(1, last + 1, 3):
            survived, kills = Records(study), 0
            for at in (first, 2):
                runs = DrawnRuns(planted, kill_at=at if kind == "run" else None)
                survived.kill_at = survived.writes + at if kind == "write" else None
                try:
                    carried_out(runs, survived.study, records=survived)
                except Killed:
                    kills += 1
            survived.kill_at = None
            assert kills
            assert carried_out(DrawnRuns(planted), survived.study, records=survived) == whole


def test_nothing_that_is_done_runs_again():
    study = train_study()
    records = Records(study)
    whole = carried_out(DrawnRuns(planted), study, records=records)
    runs = DrawnRuns(planted)
    assert carried_out(runs, whole, records=records) == whole
    assert runs.asked == []


def test_an_extended_study_keeps_its_trials_and_judges_another_winner_more_strictly():
    short = carried_out(DrawnRuns(near_trial_5), train_study(trials=3))
    longer = msgspec.structs.replace(short, trials_planned=9)
    runs = DrawnRuns(near_trial_5)
    found = carried_out(runs, longer)
    assert found.trials[:3] == short.trials
    assert len(found.trials) == 9
    assert found.verdict.winner != short.verdict.winner
    assert found.verdict.looks == short.verdict.looks + 1 == 2
    assert found.verdict.comparison.interval.level == pytest.approx(0.975)
    again = [job.trial for job in runs.asked if job.trial.repeats == 0]
    assert again == []  # the baseline was judged before


def test_where_nothing_beats_the_recipe_nothing_is_judged():
    found = carried_out(DrawnRuns(lambda params: -planted(params), luck=0, noise=0))
    assert (found.verdict.winner, found.verdict.comparison) == (0, None)
    assert found.confirmations == ()


def test_a_failed_trial_is_recorded_and_passed_over():
    runs = DrawnRuns(planted)

    def failing(jobs):
        if jobs[0].trial.number == 2 and jobs[0].trial.repeats is None:
            return [TrialResult(TrialState.FAILED, "r", seconds=1.0, problem="out of memory")]
        return runs(jobs)

    found = carried_out(failing)
    assert found.trial(2).problem == "out of memory"
    assert found.trial(2).mean is None
    assert len(found.finished) == 7
    assert found.verdict.comparison.proven


def test_without_a_baseline_there_is_no_study_and_the_next_command_tries_it_again():
    study = train_study()
    records = Records(study)
    failing = lambda jobs: [TrialResult(TrialState.FAILED, "r", problem="no GPU")]  # noqa: E731
    with pytest.raises(RunFailed, match="no GPU"):
        carried_out(failing, study, records=records)
    found = carried_out(DrawnRuns(planted), records.study, records=records)
    assert found == carried_out(DrawnRuns(planted))


def test_trials_are_told_of_the_evaluations_of_those_before_them_but_not_the_first():
    runs = DrawnRuns(planted)
    carried_out(runs)
    searched = [job for job in runs.asked if job.trial.repeats is None]
    assert [len(job.earlier or ()) for job in searched] == list(range(8))
    assert searched[0].earlier is None
    assert all(job.earlier is None for job in runs.asked if job.trial.repeats is not None)
