"""The child process: its exit codes, its last words, and what it keeps to itself."""

import os
import signal
import subprocess

import pytest

from yoyak.events import RunStatus
from yoyak.scheduler.worker import StopFlag
from yoyak.scheduler.worker_process import WORKER

pytestmark = pytest.mark.process

SECRET = "hf_" + "Pl4nted" * 4
PLAIN = "correct horse battery"


@pytest.fixture
def work(data):
    """Runs a worker to its end and returns its exit code."""

    def call(run, folder=data, **environment) -> int:
        with (run.folder / "worker.log").open("ab") as log:
            return subprocess.run(
                [*WORKER, run.folder, folder, str(os.getpid())],
                stdout=log, stderr=log, check=False, env={**os.environ, **environment},
            ).returncode  # fmt: skip

    return call


def test_a_run_that_comes_to_its_end_exits_with_0_and_starting_it_again_does_nothing(runs_of, work):
    (run,) = runs_of("Steady")
    assert work(run) == 0
    predictions = run.predictions_path("dev").read_bytes()
    assert work(run) == 0
    assert run.predictions_path("dev").read_bytes() == predictions
    assert run.state().attempts == 2


def test_a_users_file_with_the_name_of_a_library_is_not_imported(
    runs_of, work, tmp_path, monkeypatch
):
    here = tmp_path / "here"
    here.mkdir()
    for name in ("statistics", "random", "msgspec", "yoyak"):
        (here / f"{name}.py").write_text("raise SystemExit(99)")
    (run,) = runs_of("Steady")
    monkeypatch.chdir(here)
    assert work(run) == 0


def test_a_failure_leaves_a_record_and_no_secret_in_any_file(runs_of, work):
    (run,) = runs_of("Failing")
    assert work(run, DOUBLES_TOKEN=SECRET, ANOTHER_SECRET=PLAIN) == 70
    state = run.state()
    assert state.status is RunStatus.FAILED
    assert state.failed.kind == "RuntimeError"
    assert "could not log in" in state.failed.message
    assert "doubles.py" in state.failed.trace
    assert "could not log in" in (run.folder / "worker.log").read_text("utf-8")
    assert work(run, DOUBLES_TOKEN=PLAIN) == 70
    files = [path for path in run.folder.parent.rglob("*") if path.is_file()]
    assert len(files) >= 5
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
    assert not [path for path in files if PLAIN.encode() in path.read_bytes()]


def test_data_that_are_no_longer_the_same_are_refused(runs_of, work, data, tmp_path):
    import shutil

    (run,) = runs_of("Steady")
    changed = shutil.copytree(data, tmp_path / "changed")
    text = (changed / "dev.csv").read_text("utf-8")
    (changed / "dev.csv").write_text(text.replace("#Person2#", "#Person3#", 1), encoding="utf-8")
    assert work(run, changed) == 65
    assert run.state().failed.kind == "scheduler.data-changed"
    assert work(run, tmp_path / "nowhere") == 66


def test_a_run_that_another_process_holds_is_left_alone(runs_of, work):
    (run,) = runs_of("Steady")
    before = run.log_path.read_bytes()
    with run.lock():
        assert work(run) == 75
    assert run.log_path.read_bytes() == before
    assert f"process {os.getpid()}" in (run.folder / "worker.log").read_text("utf-8")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_first_signal_asks_and_the_second_does_not():
    flag = StopFlag()
    assert not flag()
    flag._on_signal(signal.SIGTERM, None)
    assert flag()
    pid = os.fork()
    if pid == 0:
        flag._on_signal(signal.SIGTERM, None)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 75
