"""kill −9 of the worker at any moment: the same command again ends as if nothing had happened."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from support.outcomes import outcome
from yoyak.runs.workspace import Workspace

pytestmark = pytest.mark.torch

SHORT = (
    "train.epochs=3",
    "train.batch_size=4",
    "train.max_steps=8",
    "train.save_every_steps=2",
    "evaluate.every_epochs=none",
    "decode.max_new_tokens=8",
)
ALIGNED = ("align.method=mrt", "align.samples=2", "align.batch_size=2", "align.max_steps=8")
"""Eight more steps, with ROUGE as reward."""
KILLS_LONG, KILLS_SHORT = 2, 1


@pytest.fixture(scope="module")
def command(data):
    """Start a line-up of ``lead`` and a recipe in a folder."""

    def start(folder: Path, recipe: str, *more: str) -> subprocess.Popen[bytes]:
        words = [word for spec in (*SHORT, *more) for word in ("--set", spec)]
        environment = {**os.environ, "YOYAK_LANG": "en", "OMP_NUM_THREADS": "1"}
        with (folder / "talk.txt").open("ab") as talk:
            return subprocess.Popen(
                [sys.executable, "-m", "yoyak", "run", "lead", recipe, "--data", data, *words],
                cwd=folder, env=environment, stdout=talk, stderr=talk,
            )  # fmt: skip

    return start


def the_run(folder: Path):
    return Workspace(folder / "workspace").runs()[1]


def kill_worker_after(
    folder: Path, lineup: subprocess.Popen[bytes], attempt: int, steps: int, stage: str = "train"
) -> None:
    """Waits until the log of an attempt shows so many steps, then kills line-up and worker."""
    deadline = time.monotonic() + 500
    while time.monotonic() < deadline:
        runs = Workspace(folder / "workspace").runs()[1:]
        holder = runs[0].holder() if runs else None
        state = runs[0].state() if holder is not None and holder.pid else None
        if (
            holder is not None
            and state is not None
            and (state.attempts, state.stage) == (attempt, stage)
            and state.step >= steps
        ):
            lineup.kill()
            with contextlib.suppress(ProcessLookupError):
                os.kill(holder.pid, signal.SIGKILL)
            return
        time.sleep(0.02)
    pytest.fail((folder / "talk.txt").read_text("utf-8"))


@pytest.fixture(scope="module")
def untouched(tmp_path_factory, command):
    """What comes of a recipe where nothing is killed, worked out once."""

    @cache
    def of(recipe: str, *more: str) -> dict[str, object]:
        folder = tmp_path_factory.mktemp("whole")
        assert command(folder, recipe, *more).wait(timeout=500) == 0
        return outcome(the_run(folder))

    return of


# Quicker: faults/test_kills.py kills the worker and compares the same; scheduler/test_scheduler.py
# kills the worker's parent.
@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["tiny-bart", "tiny-qlora"])
def test_a_killed_line_up_ends_as_if_nothing_had_happened(
    recipe, tmp_path, command, untouched, long
):
    kills = KILLS_LONG if long else KILLS_SHORT
    luck = random.Random(recipe)
    for kill in range(kills):
        started = command(tmp_path, recipe)
        # The line-up first: by itself it would take the run up again in a new worker.
        kill_worker_after(tmp_path, started, kill + 1, luck.randint(1, 3) + 3 * kill)
        assert started.wait(timeout=500) == -signal.SIGKILL
    assert command(tmp_path, recipe).wait(timeout=500) == 0
    assert the_run(tmp_path).state().attempts == kills + 1
    assert outcome(the_run(tmp_path)) == untouched(recipe)


@pytest.mark.slow  # quicker: the same stage, ended at chosen steps, in torch/pipeline/test_align.py
def test_a_run_killed_while_it_is_aligned_ends_as_if_nothing_had_happened(
    tmp_path, command, untouched
):
    for attempt, steps in (1, 2), (2, 6):
        started = command(tmp_path, "tiny-bart", *ALIGNED)
        kill_worker_after(tmp_path, started, attempt, steps, "align")
        assert started.wait(timeout=500) == -signal.SIGKILL
    assert command(tmp_path, "tiny-bart", *ALIGNED).wait(timeout=500) == 0
    assert the_run(tmp_path).state().attempts == 3
    aligned = outcome(the_run(tmp_path))
    assert aligned == untouched("tiny-bart", *ALIGNED)
    assert aligned != untouched("tiny-bart")


@pytest.mark.slow  # quicker: trackers/test_live.py, with runs that train nothing
@pytest.mark.skipif(find_spec("tensorboard") is None, reason="tensorboard is not installed")
def test_a_failing_mirror_and_a_failing_backup_change_nothing_in_the_run(
    tmp_path, command, untouched
):
    (tmp_path / "yoyak.toml").write_text(
        '[mirror]\ntrackers = ["tensorboard"]\n[backup]\nafter_each_run = true\n'
    )
    (tmp_path / ".git").write_text("no repository\n")
    folder = tmp_path / "workspace/report/mirrors"
    folder.mkdir(parents=True)
    (folder / "tensorboard").write_text("a file where the tracker needs a folder")
    lineup = command(tmp_path, "tiny-bart")
    assert lineup.wait(timeout=300) == 0
    said = (tmp_path / "talk.txt").read_text("utf-8")
    assert said.count("tensorboard no longer follows the runs") == 1
    assert said.count("the backup failed") == 1
    assert outcome(the_run(tmp_path)) == untouched("tiny-bart")
    run = the_run(tmp_path)
    assert not [one for one in run.state().warnings if one.key.startswith("report.")]


def test_a_mirror_that_hangs_is_not_waited_for_at_the_exit(tmp_path, data):
    script = tmp_path / "hangs.py"
    script.write_text(HANGS, encoding="utf-8")
    (tmp_path / "yoyak.toml").write_text('[mirror]\ntrackers = ["wandb"]\n')
    environment = {**os.environ, "YOYAK_LANG": "en"}
    done = subprocess.run(
        [sys.executable, script, data], cwd=tmp_path, env=environment, check=False, timeout=120,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "wandb no longer follows" in done.stderr
    assert "report" in done.stdout


HANGS = """
import atexit, sys, threading
from yoyak.trackers import backends, live
from yoyak.cli import main

def wandb(folder):
    atexit.register(threading.Event().wait)
    threading.Event().wait()

backends.BACKENDS["wandb"] = wandb
live.GRACE_SECONDS = 0.1
main(["run", "lead", "--data", sys.argv[1]])
"""
"""A tracker whose library waits for ever, also when the process ends."""
