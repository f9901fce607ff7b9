"""The same kills against a stock trainer, for comparison; long version only."""

import shutil
import signal
import time

import pytest

from yoyak.files.atomic import sha256_file

pytestmark = [pytest.mark.torch, pytest.mark.timeout(3600)]

KILLS = 60


def newest(folder):
    return max(folder.glob("checkpoint-*"), key=lambda path: int(path.name[11:]))


def test_the_control(long, note, luck, request, tmp_path):
    if not long:
        pytest.skip("the control has no place in the short version: make faults")
    stock = request.getfixturevalue("stock")
    whole = tmp_path / "whole"
    began = time.monotonic()
    stock.start(whole)
    assert stock.wait() == 0
    usual_seconds = time.monotonic() - began
    expected = sha256_file(whole / "final" / "model.safetensors")
    kills = crashes = differing = runs = 0
    while kills < KILLS:
        runs += 1
        folder = tmp_path / f"run-{runs}"
        code = None
        while code != 0:
            code = stock.killed_after(luck.uniform(0.1, 1.2) * usual_seconds, folder)
            if code == -signal.SIGKILL:
                kills += 1
            elif code != 0:
                crashes += 1
                shutil.rmtree(newest(folder))  # what a person would find out in the morning
        differing += sha256_file(folder / "final" / "model.safetensors") != expected
        shutil.rmtree(folder)
    note("stock-trainer", {
        "kills": kills, "runs": runs, "restarts that crashed": crashes,
        "runs whose weights differ": differing,
    })  # fmt: skip
