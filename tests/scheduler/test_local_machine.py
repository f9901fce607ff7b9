from types import SimpleNamespace

import pytest

from yoyak.errors import Unavailable
from yoyak.scheduler import local_machine
from yoyak.scheduler.local_machine import LocalMachine, gpu_entries


def test_the_cards_are_those_that_may_be_seen(monkeypatch, fake_gpus):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 5")
    assert gpu_entries() == ("2", "5")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpu_entries() == (None,)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    fake_gpus({}, {})
    assert gpu_entries() == ("0", "1")
    fake_gpus()
    assert gpu_entries() == (None,)


@pytest.fixture
def started(monkeypatch):
    """What worker processes would be started with: (GPUs, processes)."""
    calls = []

    class Process:
        def __init__(self, run, data_folder, gpu, processes):
            self.run, self.gpu = run, gpu
            calls.append((gpu, processes))

    monkeypatch.setattr(local_machine, "WorkerProcess", Process)
    return calls


def a_run(scratch=None):
    return SimpleNamespace(recipe=SimpleNamespace(model=SimpleNamespace(scratch=scratch)))


def fill(machine, run):
    workers = []
    while machine.has_room(run, workers):
        workers.append(machine.start(run, "data", workers))
    return workers


def test_runs_of_two_processes_share_no_gpu_and_one_that_fills_no_pair_is_idle(started):
    machine = LocalMachine(gpus=("0", "1", "4", "5", "7"), processes=2)
    fill(machine, a_run())
    assert started == [("0,1", 2), ("4,5", 2)]
    assert machine.width == 2


def test_processes_of_toys_take_a_core_each(started):
    fill(LocalMachine(gpus=(None,), cores=5, processes=2), a_run(scratch=object()))
    assert started == [(None, 2), (None, 2)]


def test_more_processes_than_gpus_are_refused():
    with pytest.raises(Unavailable, match="2"):
        LocalMachine(gpus=("0",), processes=2)
