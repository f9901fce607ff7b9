"""Ctrl-C in each stage: everything is saved, exit code 75, and the same command goes on."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from yoyak.data import sample
from yoyak.events import RunStatus, StageStarted
from yoyak.runs.workspace import Workspace

STAGES = ("train", "predict-dev", "predict-test", "score")


@pytest.fixture
def gated(yoyak, monkeypatch):
    """The folder of a recipe whose engine waits in a stage."""
    (yoyak.folder / "gated.toml").write_text('engine = "gated:Gated"\n', "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "doubles"), prepend=os.pathsep)
    monkeypatch.setenv("GATED_FOLDER", str(yoyak.folder))
    return yoyak


def interrupt(folder: Path, stage: str) -> tuple[int, str]:
    """Run the recipe, press Ctrl-C once ``stage`` has begun; return exit code and stderr."""
    with (folder / "stderr.txt").open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "yoyak", "run", "gated.toml", "--data", sample.folder()],
            cwd=folder, stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True,
            env={**os.environ, "YOYAK_LANG": "en", "GATED_STAGE": stage},
        )  # fmt: skip
    try:
        until = time.monotonic() + 300
        while not (folder / "reached").exists():
            assert process.poll() is None, (folder / "stderr.txt").read_text("utf-8")
            assert time.monotonic() < until
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        return process.wait(timeout=300), (folder / "stderr.txt").read_text("utf-8")
    finally:
        process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES[:-1])
def test_ctrl_c_saves_everything_and_the_same_command_goes_on(stage, gated):
    code, said = interrupt(gated.folder, stage)
    assert "Traceback" not in said
    assert code == 75
    (run,) = Workspace(gated.folder / "workspace").runs()
    assert run.state().status is RunStatus.STOPPED
    assert not (gated.folder / "workspace" / "submissions").exists()
    gated.in_a_process("run", "gated.toml")
    assert run.state().status is RunStatus.FINISHED
    begun = Counter(event.stage for event in run.events() if isinstance(event, StageStarted))
    assert begun == Counter([*STAGES, stage])
    assert (gated.folder / "workspace/submissions/1/submission.csv").is_file()


def test_ctrl_c_while_the_last_stage_works_ends_as_the_finished_run_that_it_is(gated):
    """Scoring takes seconds and is completed: nothing is left to do, so nothing was interrupted."""
    code, said = interrupt(gated.folder, "score")
    assert "Traceback" not in said
    assert code == 0
    (run,) = Workspace(gated.folder / "workspace").runs()
    assert run.state().status is RunStatus.FINISHED
    begun = Counter(event.stage for event in run.events() if isinstance(event, StageStarted))
    assert begun == Counter(STAGES)
