"""One worker process: its environment, how it is ended, what it leaves, and its watchdog."""

import os
import signal
import subprocess
import time

import pytest

from yoyak import messages
from yoyak.config.project import ResourceLimits
from yoyak.events import RunStatus, Started, SystemMetrics, Warned
from yoyak.scheduler import heartbeat, resource_monitor, scheduler, worker_process
from yoyak.scheduler.scheduler import RunResult, Scheduler
from yoyak.scheduler.worker_process import Watchdog, worker_environment

pytestmark = pytest.mark.process

NOBODY = 2**22 + 1
"""Above the greatest process id that Linux gives."""
GENTLE = ResourceLimits(disk_free_gb=0.0, ram_free_gb=0.0)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(scheduler, "POLL_SECONDS", 0.02)


def run_all(corpus, runs, on_event=lambda run, event: None, limits_=GENTLE):
    return [outcome.result for outcome in Scheduler(corpus, on_event, limits_).run_all(runs)]


def wait_for(condition):
    until = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.02)


def test_what_a_killed_worker_leaves_behind_ends_with_it(runs_of, corpus, is_alive):
    (run,) = runs_of("Leaving")
    # The fork holds the run's lock, so that nobody could take the run up again.
    assert run_all(corpus, [run]) == [RunResult.FINISHED]
    assert run.state().attempts == 2
    left = int((run.folder / "left-behind").read_text())
    wait_for(lambda: not is_alive(left))


def test_a_worker_that_cannot_handle_signals_is_killed_after_the_second(
    runs_of, corpus, is_alive, monkeypatch
):
    monkeypatch.setattr(resource_monitor, "SAMPLE_SECONDS", 0.05)
    monkeypatch.setattr(worker_process, "KILL_SECONDS", 0.1)
    (run,) = runs_of("Frozen")

    def stop(run, event):
        if run.state().attempts:  # at its start, and again at each reading of the machine
            os.kill(os.getpid(), signal.SIGTERM)

    assert run_all(corpus, [run], stop) == [RunResult.INTERRUPTED]
    (start,) = [event for event in run.events() if isinstance(event, Started)]
    assert not is_alive(start.pid)
    assert run.state().status is RunStatus.INTERRUPTED


def test_a_silent_worker_is_asked_where_it_stands_though_the_parent_writes(
    runs_of, corpus, monkeypatch
):
    monkeypatch.setattr(heartbeat, "SILENCE_SECONDS", 0.5)
    monkeypatch.setattr(worker_process, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr(resource_monitor, "SAMPLE_SECONDS", 0.05)
    (run,) = runs_of("Deaf")
    log = run.folder / "worker.log"

    def ask_once_its_stack_is_there(run, event):
        if log.exists() and log.stat().st_size > 0:
            os.kill(os.getpid(), signal.SIGTERM)  # at the next event again: then it is at once

    assert run_all(corpus, [run], ask_once_its_stack_is_there) == [RunResult.INTERRUPTED]
    assert "doubles.py" in log.read_text()
    assert (
        sum(isinstance(event, SystemMetrics) for event in run.events()) >= 5
    )  # the parent wrote on
    # Once for each mood that it was in, not at every look.
    said = [event.key for event in run.events() if isinstance(event, Warned)]
    assert said in (["scheduler.stuck"], ["scheduler.slow", "scheduler.stuck"])


def test_a_worker_whose_parent_is_already_gone_stops_at_its_first_step(runs_of, data):
    (run,) = runs_of("Patient")
    code = subprocess.run(
        [*worker_process.WORKER, run.folder, data, str(NOBODY)], check=False
    ).returncode
    assert code == 75
    assert run.state().step == 1


def test_the_users_environment_wins(runs_of, monkeypatch):
    (run,) = runs_of("Steady")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
    found = worker_environment(run.recipe)
    assert found["OMP_NUM_THREADS"] == "7"
    assert found["TOKENIZERS_PARALLELISM"] == "false"


def test_a_worker_speaks_the_language_of_whoever_started_it(runs_of, monkeypatch):
    (run,) = runs_of("Steady")
    monkeypatch.setenv("YOYAK_LANG", "en")
    with messages.speaking("ko"):
        assert worker_environment(run.recipe)["YOYAK_LANG"] == "ko"


def test_only_a_chosen_gpu_replaces_the_users_choice(runs_of, monkeypatch):
    (run,) = runs_of("Steady")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert worker_environment(run.recipe)["CUDA_VISIBLE_DEVICES"] == "2,5"
    assert worker_environment(run.recipe, "5")["CUDA_VISIBLE_DEVICES"] == "5"


def test_the_watchdog_warns_once_until_the_worker_writes_again(runs_of, monkeypatch):
    monkeypatch.setattr(heartbeat, "SILENCE_SECONDS", 0.0)
    monkeypatch.setattr(heartbeat, "SLOW_INTERVALS", 0)
    monkeypatch.setattr(worker_process, "CHECK_SECONDS", 0.0)
    (run,) = runs_of("Steady")
    watchdog = Watchdog(run, NOBODY)  # whose CPU time cannot be read: it counts as stuck

    def warned():
        return [event.key for event in run.events() if isinstance(event, Warned)]

    watchdog.check()
    watchdog.check()
    assert warned() == ["scheduler.stuck"]
    watchdog.record_event()
    watchdog.check()
    assert warned() == ["scheduler.stuck"] * 2
