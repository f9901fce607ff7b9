"""Ctrl-C in each stage: everything is saved, exit code 75, and the same command goes on."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

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
            [sys.executable, "-m", "yoyak", "run", "gated.toml"],
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


LATE = pytest.mark.xfail(
    strict=True, reason="a submission is written though Ctrl-C was pressed while a run was scored"
)


@pytest.mark.parametrize(
    "stage",
    [
        *(pytest.param(stage, marks=pytest.mark.slow) for stage in STAGES[:-1]),
        pytest.param("score", marks=LATE),
    ],
)
def test_ctrl_c_saves_everything_and_the_same_command_goes_on(stage, gated):
    code, said = interrupt(gated.folder, stage)
    assert "Traceback" not in said
    assert code == 75
    (run,) = Workspace(gated.folder / "workspace").runs()
    # To score takes seconds, so that is brought to its end; nothing is handed in all the same.
    assert run.state().status is (RunStatus.FINISHED if stage == "score" else RunStatus.STOPPED)
    assert not (gated.folder / "workspace" / "submissions").exists()
    gated("run", "gated.toml")
    assert run.state().status is RunStatus.FINISHED
    begun = Counter(event.stage for event in run.events() if isinstance(event, StageStarted))
    assert begun == Counter(STAGES) + Counter([] if stage == "score" else [stage])
    assert (gated.folder / "workspace/submissions/1/submission.csv").is_file()
