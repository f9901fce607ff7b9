"""The health of a run is read from its status, its lock and the watchdog's last word."""

import pytest

from yoyak.events import RunStatus, Started, SystemMetrics, TrainStep, Warned
from yoyak.runs.liveness import Liveness, WorkerHealth, last_liveness, worker_health

SAMPLE = SystemMetrics(at=1.0)
STUCK = Warned(at=1.0, key="scheduler.stuck")
SLOW = Warned(at=1.0, key="scheduler.slow")
STARTED = Started(at=1.0, pid=1, host="h", attempt=1)


def test_liveness_is_the_watchdogs_last_word_until_the_worker_writes():
    step = TrainStep(
        at=2.0, step=1, epoch=0.0, loss=1.0, learning_rate=1e-4, grad_norm=1.0, tokens=1,
        supervised_tokens=1, rows=1, seconds=1.0,
    )  # fmt: skip
    assert last_liveness([STARTED, SLOW, SAMPLE]) is Liveness.SLOW
    assert last_liveness([STARTED, SLOW, STUCK, SAMPLE]) is Liveness.STUCK
    assert last_liveness([STARTED, STUCK, step, SAMPLE]) is Liveness.RUNNING
    assert last_liveness([]) is Liveness.RUNNING


def health_of(run):
    return worker_health(run.state().status, run.events())


def test_health_needs_the_lock_as_well_as_the_log(run):
    assert health_of(run) is WorkerHealth.QUEUED
    with run.lock():
        run.emit(STARTED)
        assert health_of(run) is WorkerHealth.RUNNING
        run.emit(STUCK)
        assert health_of(run) is WorkerHealth.STUCK
    assert health_of(run) is WorkerHealth.INTERRUPTED


def test_a_warning_about_something_else_is_no_word_on_progress():
    pruned = Warned(at=1.0, key="scheduler.pruned")
    assert last_liveness([STARTED, STUCK, pruned, SAMPLE]) is Liveness.STUCK
    assert last_liveness([STARTED, pruned]) is Liveness.RUNNING


@pytest.mark.parametrize("status", [each for each in RunStatus if each is not RunStatus.RUNNING])
def test_a_run_that_nobody_works_on_is_never_stuck(status):
    assert worker_health(status, [STARTED, STUCK]).value == status.value


def test_a_worker_that_was_stuck_may_become_slow_and_the_other_way_round():
    assert worker_health(RunStatus.RUNNING, [STARTED, STUCK, SLOW]) is WorkerHealth.SLOW
    assert worker_health(RunStatus.RUNNING, [STARTED, SLOW, STUCK]) is WorkerHealth.STUCK
