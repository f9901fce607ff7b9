"""Minutes as trials, before anything starts."""

import pytest

from yoyak.config import load
from yoyak.config.project import ResourceLimits
from yoyak.errors import UsageError
from yoyak.experiments.budget import run_time, trials_within
from yoyak.planning.time_estimate import TimeEstimate

TEN_MINUTES = TimeEstimate(low_seconds=500, high_seconds=700)


def within(minutes, time=TEN_MINUTES):
    return trials_within(minutes, time, seeds=3, least=2, recipe="kobart")


def test_trials_are_what_is_left_after_the_runs_of_the_verdict():
    assert within(140) == 8
    assert within(149) == 8
    assert within(80) == 2


def test_too_few_minutes_name_those_that_are_enough():
    with pytest.raises(UsageError, match="--minutes 80"):
        within(79)


def test_an_unknown_pace_asks_for_trials(workspace, corpus):
    recipe = load.resolve("lead").recipe
    time = run_time(recipe, corpus, workspace, ResourceLimits())
    with pytest.raises(UsageError, match="give --trials"):
        within(60, time)
