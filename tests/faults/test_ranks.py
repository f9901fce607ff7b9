"""One run on two processes, through the line-up as a user starts it: killed, stopped, resumed."""

import os
import signal
from pathlib import Path

import pytest

from yoyak.events import Started, Status, Stepped, Warned
from yoyak.queue.lineup import Line, Result
from yoyak.store.project import Limits

pytestmark = [pytest.mark.torch, pytest.mark.timeout(900)]

STEPS = 30
KILL_WORKER, KILL_OTHER, STOP = 4, 11, 18
"""Steps after which the parent acts; it looks five times a second."""


@pytest.fixture
def pair(run_of, monkeypatch):
    """Makes a run that two processes train, on the CPU."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return lambda: run_of("nf4", steps=STEPS, processes=2)


def others(pid):
    """The ranks that a worker has started."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def carry_out(corpus, run, on_event=lambda run, event: None):
    line = Line(corpus, on_event, Limits(disk_free_gb=0.0, ram_free_gb=0.0))
    (outcome,) = line.carry_out([run])
    return outcome.result


def is_alive(pid):
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_kills_of_either_process_and_a_stop_change_no_bit(pair, corpus, outcome_of):
    whole = pair()
    assert carry_out(corpus, whole) is Result.FINISHED
    expected = outcome_of(whole).weights

    run = pair()
    ranks, done = set(), set()

    def harm(run, event):
        if not isinstance(event, Stepped) or event.step in done:
            return
        pid = run.holder().pid
        (other,) = others(pid)
        ranks.update({pid, other})
        victim = {KILL_WORKER: pid, KILL_OTHER: other, STOP: os.getpid()}.get(event.step)
        done.add(event.step)
        if victim is not None:
            os.kill(victim, signal.SIGTERM if event.step == STOP else signal.SIGKILL)

    assert carry_out(corpus, run, harm) is Result.INTERRUPTED
    assert run.state().status is Status.STOPPED
    assert run.state().stage == "train"
    assert not any(map(is_alive, ranks)), "nobody is orphaned"
    assert carry_out(corpus, run) is Result.FINISHED
    assert outcome_of(run).weights == expected
    assert [event.key for event in run.events() if isinstance(event, Warned)].count(
        "queue.taken-up-again"
    ) == 2
    assert sum(isinstance(event, Started) for event in run.events()) == 4
    steps = [event.step for event in run.events() if isinstance(event, Stepped)]
    assert set(steps) == set(range(1, STEPS + 1))
