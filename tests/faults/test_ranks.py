"""One run on two processes, through the line-up as a user starts it: killed, stopped, resumed."""

import os
import signal
from pathlib import Path

import pytest

from yoyak.events import RunStatus, Started, TrainStep, Warned
from yoyak.runs.settings import ResourceLimits
from yoyak.scheduler.scheduler import RunResult, Scheduler

pytestmark = [pytest.mark.torch, pytest.mark.timeout(900)]

STEPS = 30
"""Enough for the parent, which looks five times a second, to act in the midst of them."""


def kill_worker(worker, other):
    os.kill(worker, signal.SIGKILL)


def kill_other(worker, other):
    os.kill(other, signal.SIGKILL)


def stop(worker, other):
    os.kill(os.getpid(), signal.SIGTERM)


class Harm:
    """Does one of these things after the first step of each attempt it is told of."""

    def __init__(self, *things):
        self._things = list(things)
        self._is_new = False
        self.processes = set()

    def __call__(self, run, event):
        if isinstance(event, Started):
            self._is_new = True
        if self._is_new and isinstance(event, TrainStep) and self._things:
            self._is_new = False
            worker = run.holder().pid
            (other,) = others(worker)
            self.processes |= {worker, other}
            self._things.pop(0)(worker, other)


@pytest.fixture
def pair(run_of, monkeypatch):
    """Makes a run that two processes train, on the CPU."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return lambda: run_of("nf4", steps=STEPS, processes=2)


TAKEN_UP = "scheduler.taken-up-again"


def others(pid):
    """The ranks that a worker has started."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def carry_out(corpus, run, on_event=lambda run, event: None):
    line = Scheduler(corpus, on_event, ResourceLimits(disk_free_gb=0.0, ram_free_gb=0.0))
    (outcome,) = line.carry_out([run])
    return outcome.result


def is_alive(pid):
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_kills_of_either_process_and_a_stop_change_no_bit(long, pair, corpus, worker, outcome_of):
    whole = pair()
    assert worker(whole) == 0

    run = pair()
    harm = Harm(kill_worker, kill_other, stop) if long else Harm(kill_other)
    if long:
        assert carry_out(corpus, run, harm) is RunResult.INTERRUPTED
        assert run.state().status is RunStatus.STOPPED
        assert run.state().stage == "train"
        assert not any(map(is_alive, harm.processes)), "nobody is orphaned"
    assert carry_out(corpus, run, harm) is RunResult.FINISHED
    assert not any(map(is_alive, harm.processes)), "nobody is orphaned"
    assert outcome_of(run).weights == outcome_of(whole).weights
    events = run.events()
    taken_up = [event for event in events if isinstance(event, Warned) and event.key == TAKEN_UP]
    assert len(taken_up) == (2 if long else 1)
    assert sum(isinstance(event, Started) for event in events) == (4 if long else 2)
    assert {event.step for event in events if isinstance(event, TrainStep)} == set(
        range(1, STEPS + 1)
    )
