"""Two GPUs, as NVML describes them, take two runs at a time, each with its own GPU."""

import pytest

from yoyak.events import SystemMetrics
from yoyak.runs.workspace import Workspace

TOTAL_GB = {"0": 24576 * 2**20 / 1e9, "1": 81920 * 2**20 / 1e9}


@pytest.mark.parametrize("visible", [None, "GPU-0a0b,GPU-1a0b", "1, 0"])
def test_two_runs_work_at_once_on_a_gpu_each(yoyak, fake_gpus, monkeypatch, data, visible):
    fake_gpus({"memory": (24576, 312)}, {"memory": (81920, 500)})
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    for name in ("one", "two"):
        (yoyak.folder / f"{name}.toml").write_text('extends = "lead"\n', encoding="utf-8")
    yoyak("run", "one.toml", "two.toml", "--data", data)
    runs = Workspace(yoyak.folder / "workspace").runs()
    # The monitor reads the machine before the first of them can have ended.
    totals = [
        {event.vram_total_gb for event in run.events() if isinstance(event, SystemMetrics)}
        for run in runs
    ]
    expected = [{TOTAL_GB["0"]}, {TOTAL_GB["1"]}]
    assert totals == (expected[::-1] if visible == "1, 0" else expected)
