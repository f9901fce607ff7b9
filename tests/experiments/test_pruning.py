"""Who is stopped early: clearly behind, and never by noise or before there is anybody else."""

import time

import pytest

from yoyak.events import Evaluated, TrainStep
from yoyak.experiments.pruning import Checkpointed, evaluations_of, pruned_at
from yoyak.values import DevMetric, Interval, Rouge


def measured(*values, width=0.01):
    return [Checkpointed(one, Interval(low=one - width, high=one + width)) for one in values]


EARLIER = [(0.30, 0.35, 0.40), (0.32, 0.36, 0.42), (0.31, 0.34, 0.41)]


def test_the_first_trial_has_nobody_to_be_behind():
    assert pruned_at(measured(0.0, 0.0, 0.0), []) is None


def test_a_trial_clearly_behind_is_stopped_at_its_first_evaluation():
    assert pruned_at(measured(0.20), EARLIER) == 1
    assert pruned_at(measured(0.20, 0.50, 0.50), EARLIER) == 1


def test_a_trial_within_the_noise_goes_on():
    assert pruned_at(measured(0.29), EARLIER) == 1
    assert pruned_at(measured(0.29, width=0.05), EARLIER) is None


def test_between_the_rungs_nobody_is_stopped():
    assert pruned_at(measured(0.35, 0.01), EARLIER) is None
    assert pruned_at(measured(0.35, 0.01, 0.01), EARLIER) == 3


def test_a_trial_in_the_best_third_goes_on_however_sure_others_are():
    assert pruned_at(measured(0.33, 0.3, 0.43, width=0.0), EARLIER) is None


def test_only_trials_that_came_as_far_are_compared_with():
    assert pruned_at(measured(0.33, 0.3, 0.1), [(0.30,), (0.32,)]) is None


def evaluated(step, mean, loss):
    return Evaluated(
        at=time.time(), step=step, epoch=1.0, rouge=Rouge(rouge1=mean, rouge2=mean, rougeL=mean),
        interval=Interval(low=mean - 0.1, high=mean + 0.1), rows=9, signature="", seconds=1.0,
        best=False, loss=loss, loss_interval=Interval(low=loss - 1, high=loss + 2),
    )  # fmt: skip


def test_evaluations_are_read_from_the_log_once_a_step_and_without_the_start():
    step = TrainStep(
        at=0.0, step=1, epoch=0.0, loss=1.0, learning_rate=1.0, grad_norm=1.0, tokens=1,
        supervised_tokens=1, rows=1, seconds=1.0,
    )  # fmt: skip
    log = [evaluated(0, 0.1, 9.0), step, evaluated(5, 0.2, 3.0), evaluated(5, 0.2, 3.0),
           evaluated(9, 0.3, 2.0)]  # fmt: skip
    assert [one.value for one in evaluations_of(log, DevMetric.ROUGE_MEAN)] == pytest.approx(
        [0.2, 0.3]
    )
    by_loss = evaluations_of(log, DevMetric.EVAL_LOSS)
    assert [one.value for one in by_loss] == [-3.0, -2.0]
    assert (by_loss[0].interval.low, by_loss[0].interval.high) == (-5.0, -2.0)
