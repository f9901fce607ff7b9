"""One run trained by two processes below torchrun, killed: it ends with the bits of one process."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from support.outcomes import outcomes
from yoyak.data import sample
from yoyak.events import Started, Warned
from yoyak.runs.workspace import Workspace

psutil = pytest.importorskip("psutil")
pytestmark = [pytest.mark.torch, pytest.mark.slow]

SHORT = (
    "train.max_steps=8",
    "train.batch_size=4",
    "train.micro_batch_size=1",
    "train.save_every_steps=2",
    "evaluate.every_epochs=none",
    "decode.max_new_tokens=8",
)
SECONDS = 1500


def command(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    settings = [word for spec in SHORT for word in ("--set", spec)]
    environment = {**os.environ, "YOYAK_LANG": "en", "OMP_NUM_THREADS": "1"}
    with (folder / "talk.txt").open("ab") as talk:
        return subprocess.Popen(
            [sys.executable, "-m", "yoyak", "run", "tiny-bart", *words,
             "--data", str(sample.folder()), *settings],
            cwd=folder, env=environment, stdout=talk, stderr=talk,
        )  # fmt: skip


def wait_for_step(folder: Path, lineup: subprocess.Popen[bytes], step: int):
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and lineup.poll() is None:
        runs = Workspace(folder / "workspace").runs()
        if runs and runs[0].state().step >= step and runs[0].holder() is not None:
            return runs[0]
        time.sleep(0.05)
    pytest.fail((folder / "talk.txt").read_text("utf-8"))


def processes_of(lineup: subprocess.Popen[bytes]) -> dict[int, psutil.Process]:
    """The processes that train, by rank."""
    found = {}
    for each in psutil.Process(lineup.pid).children(recursive=True):
        with suppress(psutil.Error):
            if "RANK" in each.environ():
                found[int(each.environ()["RANK"])] = each
    return found


@pytest.mark.timeout(2 * SECONDS)
def test_two_processes_killed_one_after_the_other_end_as_one_that_was_not(tmp_path):
    assert command(tmp_path / "one").wait(SECONDS) == 0
    folder = tmp_path / "two"
    lineup = command(folder, "--processes", "2")
    run = wait_for_step(folder, lineup, 2)
    ranks = processes_of(lineup)
    assert sorted(ranks) == [0, 1]
    ranks[1].kill()  # the scheduler takes the run up again in two new processes
    wait_for_step(folder, lineup, 5)
    lineup.kill()  # torchrun's agent then ends both processes, which save first
    lineup.wait()
    until = time.monotonic() + 60
    while run.holder() is not None and time.monotonic() < until:
        time.sleep(0.05)
    assert command(folder, "--processes", "2").wait(SECONDS) == 0, (folder / "talk.txt").read_text()
    assert outcomes(folder / "workspace") == outcomes(tmp_path / "one" / "workspace")
    warned = [event for event in run.events() if isinstance(event, Warned)]
    again = [event for event in warned if event.key == "scheduler.taken-up-again"]
    assert [event.fields["found"] for event in again] == [signal.SIGKILL.name]
    assert sum(isinstance(event, Started) for event in run.events()) == 3
