"""Disk, RAM and GPU memory while runs are at work: recorded, warned of once, room made, stopped."""

import pytest

from yoyak.config.project import ResourceLimits
from yoyak.events import SystemMetrics, Warned
from yoyak.files import atomic
from yoyak.scheduler import resource_monitor, scheduler
from yoyak.scheduler.local_machine import LocalMachine
from yoyak.scheduler.resource_monitor import ResourceMonitor
from yoyak.scheduler.scheduler import Scheduler
from yoyak.system import limits
from yoyak.system.limits import Readings

pytestmark = pytest.mark.process

LOW_DISK = ResourceLimits(disk_free_gb=2.0, ram_free_gb=0.0)
RAM = ResourceLimits(disk_free_gb=0.0, ram_free_gb=10.0)
GENTLE = ResourceLimits(disk_free_gb=0.0, ram_free_gb=0.0)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(scheduler, "POLL_SECONDS", 0.02)


def warnings_of(run):
    return [event.key for event in run.events() if isinstance(event, Warned)]


# --- one check after another ---------------------------------------------------------------------


@pytest.fixture
def ram_of(monkeypatch):
    """Let each reading find the next of the given GB of free RAM, and check as often as called."""
    monkeypatch.setattr(resource_monitor, "SAMPLE_SECONDS", 0.0)

    def install(*free):
        left = iter(free)
        monkeypatch.setattr(
            limits,
            "read",
            lambda folder, visible=None: Readings(
                disk_free_gb=100.0, disk_used_gb=9.0, ram_free_gb=next(left)
            ),
        )

    return install


def never():
    pytest.fail("nothing is over its limit")


def test_a_warning_is_written_when_it_gets_worse_and_not_again_while_it_lasts(runs_of, ram_of):
    (run,) = runs_of("Steady")
    ram_of(20.0, 12.0, 11.0, 20.0, 14.0)
    monitor = ResourceMonitor(RAM, never)
    for _ in range(5):
        monitor.check({run: None}, ())
    found = [event for event in run.events() if isinstance(event, Warned)]
    assert [(event.key, event.fields["found"]) for event in found] == [
        ("scheduler.ram-free", "12.0"),
        ("scheduler.ram-free", "14.0"),
    ]
    assert sum(isinstance(event, SystemMetrics) for event in run.events()) == 5
    assert monitor.exceeded is None


def test_the_stop_comes_before_anything_is_written(runs_of, ram_of):
    (run,) = runs_of("Steady")
    before = run.log_path.read_bytes()
    at_stop = []
    ram_of(9.9, 20.0)
    monitor = ResourceMonitor(RAM, lambda: at_stop.append(run.log_path.read_bytes()))
    monitor.check({run: None}, ())
    assert at_stop == [before]
    assert warnings_of(run) == ["scheduler.ram-free"]
    monitor.check({run: None}, ())
    assert monitor.exceeded.fields == {"found": "9.9", "limit": "10.0"}, "it stays on record"
    assert len(at_stop) == 1


def test_between_two_samples_nothing_is_measured(runs_of, ram_of, monkeypatch):
    (run,) = runs_of("Steady")
    ram_of(20.0)  # a second reading would raise StopIteration
    monkeypatch.setattr(resource_monitor, "SAMPLE_SECONDS", 1e9)
    monitor = ResourceMonitor(RAM, never)
    monitor.check({}, ())
    for _ in range(3):
        monitor.check({run: None}, ())
    assert sum(isinstance(event, SystemMetrics) for event in run.events()) == 1


@pytest.fixture
def shrinking(monkeypatch):
    """A disk that reads as full until something was pruned."""
    monkeypatch.setattr(resource_monitor, "SAMPLE_SECONDS", 0.0)
    room = {"free": 1.0}

    def read(folder, visible=None):
        return Readings(disk_free_gb=room["free"], disk_used_gb=9.0)

    def prune(workspace, chosen):
        room["free"] = 100.0
        return real_prune(workspace, chosen)

    real_prune = resource_monitor.prune
    monkeypatch.setattr(limits, "read", read)
    monkeypatch.setattr(resource_monitor, "prune", prune)


def test_room_is_made_before_anybody_is_stopped(runs_of, shrinking):
    working, other = runs_of("Slow", "Steady")
    with atomic.whole_folder(other.folder / "checkpoints" / "step-000001"):
        pass
    old = atomic.set_aside(other.folder / "checkpoints" / "step-000001", "trash")
    monitor = ResourceMonitor(LOW_DISK, never)
    for _ in range(2):
        monitor.check({working: None}, ())
    assert not old.exists()
    assert warnings_of(working) == ["scheduler.pruned"]
    assert monitor.exceeded is None


def test_each_run_records_the_memory_of_its_own_gpu(runs_of, fake_gpus):
    fake_gpus({"memory": (24576, 312)}, {"memory": (81920, 500)})
    runs = runs_of("Slow", "Patient")
    ResourceMonitor(GENTLE, never).check(dict(zip(runs, ("GPU-1a0b", "GPU-0a0b"), strict=True)), ())
    total = [
        {event.vram_total_gb for event in run.events() if isinstance(event, SystemMetrics)}
        for run in runs
    ]
    assert total == [{81920 * 2**20 / 1e9}, {24576 * 2**20 / 1e9}]


# --- in a line-up --------------------------------------------------------------------------------


def test_a_full_gpu_that_only_a_later_run_uses_is_noticed(runs_of, corpus, fake_gpus):
    fake_gpus({"memory": (24576, 312)}, {"memory": (24576, 24000)})
    scheduler = Scheduler(
        corpus,
        lambda *_: None,
        ResourceLimits(disk_free_gb=0.0, ram_free_gb=0.0, vram_free_gb=1.0),
        LocalMachine(gpus=("0", "1")),
    )
    scheduler.run_all(runs_of("Patient", "Slow"))
    assert scheduler.danger.key == "scheduler.vram-free"
