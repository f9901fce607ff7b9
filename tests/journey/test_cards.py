"""Two GPUs, shown by a driver's tool that is not the real one: two runs side by side."""

import os
import sys
from pathlib import Path

import pytest

from yoyak.events import RunStatus
from yoyak.runs.workspace import Workspace

SMI = """#!{python}
import sys
asked = " ".join(sys.argv)
if "--query-gpu" in asked:
    for index in (0, 1):
        print(f"{{index}}, NVIDIA GeForce RTX 3090, 580.65.06, 8.6, 24576, 300, 24276")
"""


@pytest.fixture
def two_gpus(yoyak, monkeypatch):
    """A folder with two recipes whose runs wait for each other, on a machine with two GPUs."""
    tools = yoyak.folder / "bin"
    tools.mkdir()
    (tools / "nvidia-smi").write_text(SMI.format(python=sys.executable), "utf-8")
    (tools / "nvidia-smi").chmod(0o755)
    for name in ("one", "two"):
        (yoyak.folder / f"{name}.toml").write_text('engine = "gated:Meeting"\n', "utf-8")
    monkeypatch.setenv("PATH", str(tools), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "doubles"), prepend=os.pathsep)
    monkeypatch.setenv("GATED_FOLDER", str(yoyak.folder))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return yoyak


def gpus(folder):
    return sorted(path.read_text() for path in folder.glob("gpu-of-*"))


def test_two_runs_work_at_the_same_time_each_on_a_gpu_of_its_own(two_gpus):
    two_gpus.in_a_process("run", "one.toml", "two.toml")
    assert gpus(two_gpus.folder) == ["0", "1"]
    runs = Workspace(two_gpus.folder / "workspace").runs()
    assert [run.state().status for run in runs] == [RunStatus.FINISHED] * 2
