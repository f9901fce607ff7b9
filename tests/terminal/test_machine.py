"""The machine in a few lines."""

import shutil
import sys

from support.report import Usage
from yoyak import messages
from yoyak.system.probe import GpuActivity
from yoyak.terminal.machine import MachineReading, machine_lines, read_machine


def reading(*gpus):
    return MachineReading(gpus, 34.2, 3.1, 16.0, 110.0, 150.0)


def test_a_gpu_says_what_it_measures():
    whole = GpuActivity(
        index=1, name="NVIDIA L4", busy_percent=87, used_gb=14.5, total_gb=24.0, celsius=71,
        watts=312.4, watts_limit=450.0,
    )  # fmt: skip
    bare = GpuActivity(index=2, name="MIG")
    first, second, rest = machine_lines(reading(whole, bare)).plain.splitlines()
    parts = ["GPU 1 NVIDIA L4", "busy 87 %", "memory 14.5/24.0 GB", "71 °C", "312/450 W"]
    assert first.split("  ·  ") == parts
    assert second == "GPU 2 MIG"
    assert rest.split("  ·  ") == ["CPU 34 %", "memory 3.1/16.0 GB", "disk 110.0/150.0 GB"]


def test_without_a_gpu_it_says_so_in_both_languages():
    assert machine_lines(reading()).plain.startswith("no NVIDIA GPU  ·  CPU 34 %")
    with messages.speaking("ko"):
        assert machine_lines(reading()).plain.startswith("NVIDIA GPU 없음")


def test_the_disk_is_that_of_the_folder_even_before_it_exists(tmp_path, monkeypatch, fake_gpus):
    fake_gpus({"busy": 87})
    asked = []

    def usage(folder):
        asked.append(folder)
        return Usage(total=150e9, used=100e9, free=40e9)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    found = read_machine(tmp_path / "not" / "there")
    assert asked == [tmp_path]
    assert (found.disk_used_gb, found.disk_total_gb) == (100, 140), "10 GB are reserved"
    assert [gpu.busy_percent for gpu in found.gpus] == [87]
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert read_machine(tmp_path).gpus == ()
