"""The parent: four runs that end in four ways, signals, orphans, and a watchdog that hears."""

import os
import signal
import subprocess
import sys
import time

import pytest

from yoyak import messages
from yoyak.config.project import ResourceLimits
from yoyak.events import RunStatus, StageStarted, Started, SystemMetrics, TrainStep, Warned
from yoyak.scheduler import heartbeat, resource_monitor, scheduler, worker_process
from yoyak.scheduler.scheduler import RunResult, Scheduler
from yoyak.scheduler.worker_process import worker_environment

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


# --- how runs end --------------------------------------------------------------------------------


def test_four_runs_that_end_in_four_ways(runs_of, corpus):
    failing, doomed, patient, steady = runs = runs_of("Failing", "Doomed", "Patient", "Steady")

    def stop_the_patient_one(run, event):
        if run is patient and isinstance(event, TrainStep) and event.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    assert run_all(corpus, runs, stop_the_patient_one) == [
        RunResult.FAILED, RunResult.FINISHED, RunResult.INTERRUPTED, RunResult.INTERRUPTED,
    ]  # fmt: skip
    assert [run.state().status for run in runs] == [
        RunStatus.FAILED, RunStatus.FINISHED, RunStatus.STOPPED, RunStatus.QUEUED,
    ]  # fmt: skip
    stopped_at = patient.state().step
    assert 3 <= stopped_at < 60
    # The very same command again: what failed fails again, the others come to their end.
    assert run_all(corpus, runs) == [
        RunResult.FAILED, RunResult.ALREADY_DONE, RunResult.FINISHED, RunResult.FINISHED,
    ]  # fmt: skip
    assert failing.state().failed.kind == "RuntimeError"
    assert doomed.state().attempts == 2
    steps = [event.step for event in patient.events() if isinstance(event, TrainStep)]
    assert steps == list(range(1, 61))  # none lost, none done twice
    assert all(run.scorecard() is not None for run in (doomed, patient, steady))
    assert run_all(corpus, runs[1:]) == [RunResult.ALREADY_DONE] * 3


def test_a_crash_without_a_word_is_a_failure_that_says_so(runs_of, corpus):
    (run,) = runs_of("Crashing")
    told = []
    assert run_all(corpus, [run], lambda run, event: told.append(event)) == [RunResult.FAILED]
    failed = run.state().failed
    assert "SIGABRT" in failed.message
    assert "worker.log" in failed.message
    assert told[-1] == failed


def test_what_a_killed_worker_leaves_behind_ends_with_it(runs_of, corpus, is_alive):
    (run,) = runs_of("Leaving")
    # The fork holds the run's lock, so that nobody could take the run up again.
    assert run_all(corpus, [run]) == [RunResult.FINISHED]
    assert run.state().attempts == 2
    left = int((run.folder / "left-behind").read_text())
    wait_for(lambda: not is_alive(left))


def test_a_run_that_somebody_works_on_is_left_alone_and_its_holder_named(runs_of, corpus):
    held, free = runs_of("Patient", "Steady")
    told = []
    before = held.log_path.read_bytes()
    with held.lock():
        results = run_all(corpus, [held, free], lambda run, event: told.append((run, event)))
    assert results == [RunResult.INTERRUPTED, RunResult.FINISHED]
    assert held.log_path.read_bytes() == before
    (warned,) = [event for run, event in told if run is held]
    assert warned.key == "runs.locked"
    assert warned.fields["pid"] == str(os.getpid())


def test_a_run_goes_on_with_data_that_have_moved(runs_of, corpus, data, tmp_path):
    import shutil

    from yoyak.data.corpus import read_corpus

    (run,) = runs_of("Steady")
    moved = shutil.copytree(data, tmp_path / "moved")
    identity = run.folder / "identity.json"
    identity.write_text(identity.read_text("utf-8").replace(str(data), "/gone"), encoding="utf-8")
    assert run_all(read_corpus(moved), [run]) == [RunResult.FINISHED]


def test_a_run_that_finishes_after_the_stop_request_counts_as_finished(runs_of, corpus):
    first, second = runs_of("Steady", "Patient")

    def stop_while_scoring(run, event):
        if isinstance(event, StageStarted) and event.stage == "score":
            os.kill(os.getpid(), signal.SIGINT)

    results = run_all(corpus, [first, second], stop_while_scoring)
    assert results == [RunResult.FINISHED, RunResult.INTERRUPTED]


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


def test_each_run_records_the_memory_of_its_own_gpu(runs_of, corpus, fake_gpus):
    fake_gpus({"memory": (24576, 312)}, {"memory": (81920, 500)})
    runs = runs_of("Slow", "Patient")
    Scheduler(corpus, lambda *_: None, GENTLE, gpus=("GPU-1a0b", "GPU-0a0b")).run_all(runs)
    total = [
        {event.vram_total_gb for event in run.events() if isinstance(event, SystemMetrics)}
        for run in runs
    ]
    assert total == [{81920 * 2**20 / 1e9}, {24576 * 2**20 / 1e9}]


def test_a_full_gpu_that_only_a_later_run_uses_is_noticed(runs_of, corpus, fake_gpus):
    fake_gpus({"memory": (24576, 312)}, {"memory": (24576, 24000)})
    scheduler = Scheduler(
        corpus,
        lambda *_: None,
        ResourceLimits(disk_free_gb=0.0, ram_free_gb=0.0, vram_free_gb=1.0),
        gpus=("0", "1"),
    )
    scheduler.run_all(runs_of("Patient", "Slow"))
    assert scheduler.danger.key == "scheduler.vram-free"


# --- the machine in danger -----------------------------------------------------------------------


def test_a_full_disk_stops_the_line_up_with_everything_saved(runs_of, corpus):
    runs = runs_of("Patient", "Steady")
    told = []
    results = run_all(
        corpus, runs, lambda run, event: told.append(event), ResourceLimits(disk_free_gb=10.0**9)
    )
    assert results == [RunResult.INTERRUPTED] * 2
    assert [event.key for event in told if isinstance(event, Warned)] == ["scheduler.disk-free"]
    assert not any(isinstance(event, Started) for event in runs[1].events())
    assert runs[0].state().status is not RunStatus.FAILED


def test_an_error_of_the_display_ends_no_worker_unsaved_and_orphans_none(runs_of, corpus, is_alive):
    (run,) = runs_of("Patient")

    def broken(run, event):
        if isinstance(event, TrainStep):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_all(corpus, [run], broken)
    (start,) = [event for event in run.events() if isinstance(event, Started)]
    assert not is_alive(start.pid)
    assert run.state().status is RunStatus.STOPPED


# --- the watchdog --------------------------------------------------------------------------------


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


# --- signals from outside ------------------------------------------------------------------------

PARENT = """
import sys
from pathlib import Path
from yoyak.data.corpus import read_corpus
from yoyak.runs.run import Run
from yoyak.config.project import ResourceLimits
from yoyak.scheduler.scheduler import Scheduler
limits = ResourceLimits(disk_free_gb=0.0, ram_free_gb=0.0)
line = Scheduler(read_corpus(Path(sys.argv[1])), lambda run, event: None, limits)
(outcome,) = line.run_all([Run(Path(sys.argv[2]))])
sys.exit(outcome.exit_code)
"""


@pytest.fixture
def parent_of(data, monkeypatch):
    monkeypatch.setenv("DOUBLES_STEPS", "1000000")  # it is always at work when asked
    started = []

    def start(run):
        process = subprocess.Popen([sys.executable, "-c", PARENT, data, run.folder])
        started.append(process)
        wait_for(lambda: run.state().step >= 3)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        *(pytest.param(other, marks=pytest.mark.slow) for other in (signal.SIGINT, signal.SIGHUP)),
    ],
)
def test_a_signal_to_the_parent_ends_both_with_everything_saved(
    runs_of, parent_of, is_alive, number
):
    (run,) = runs_of("Patient")
    parent = parent_of(run)
    pid = run.holder().pid
    parent.send_signal(number)
    assert parent.wait(300) == 75
    assert not is_alive(pid)
    assert run.holder() is None
    state = run.state()
    assert state.status is RunStatus.STOPPED
    assert (run.folder / "progress").read_text() == str(state.step)


def test_a_worker_whose_parent_was_killed_saves_and_ends_by_itself(runs_of, parent_of, is_alive):
    (run,) = runs_of("Patient")
    parent = parent_of(run)
    pid = run.holder().pid
    parent.kill()
    parent.wait()
    wait_for(lambda: not is_alive(pid))
    assert run.state().status is RunStatus.STOPPED


def test_a_worker_whose_parent_is_already_gone_stops_at_its_first_step(runs_of, data):
    (run,) = runs_of("Patient")
    nobody = str(2**22 + 1)
    code = subprocess.run(
        [*worker_process.WORKER, run.folder, data, nobody], check=False
    ).returncode
    assert code == 75
    assert run.state().step == 1


def test_the_status_of_a_living_run_is_told_from_another_process(runs_of, parent_of, workspace):
    (run,) = runs_of("Patient")
    parent_of(run)
    code = (
        "import sys\n"
        "from pathlib import Path; from yoyak.runs.workspace import Workspace\n"
        "(run,) = Workspace(Path(sys.argv[1])).runs()\n"
        "print(run.state().status, run.holder().pid)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, workspace.folder], capture_output=True, check=True, text=True
    ).stdout
    assert said.split() == ["running", str(run.holder().pid)]


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
