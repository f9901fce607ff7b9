"""What the machine has: GPUs as NVML shows them, libraries."""

import sys

import pytest

from yoyak.system import probe


def test_gpus_are_what_the_driver_says(fake_gpus):
    nvml = fake_gpus({}, {"name": "Tesla T4", "capability": (7, 5), "memory": (15360, 3)})
    first, second = probe.gpus()
    assert (first.index, first.uuid, first.has_bf16) == (0, "GPU-0a0b", True)
    assert first.total_gb == pytest.approx(25.77, abs=0.01)
    assert first.used_gb + first.free_gb == pytest.approx(first.total_gb)
    assert (second.name, second.has_bf16, second.driver) == ("Tesla T4", False, "550.54.14")
    assert nvml.users == 0, "the library was shut down"


@pytest.mark.parametrize("field", ["memory", "uuid", "capability"])
def test_a_gpu_that_does_not_answer_is_left_out(fake_gpus, field):
    fake_gpus({field: None}, {})
    assert [gpu.index for gpu in probe.gpus()] == [1]


def test_without_the_library_or_a_driver_there_is_no_gpu(fake_gpus, monkeypatch):
    nvml = fake_gpus({})
    (gpu,) = probe.gpus()

    def refuse():
        raise nvml.NVMLError("driver not loaded")

    monkeypatch.setattr(nvml, "nvmlInit", refuse)
    assert (probe.gpus(), probe.gpu_processes(gpu)) == ((), ())
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert (probe.gpus(), probe.gpu_processes(gpu)) == ((), ())


def test_activity_says_what_each_gpu_measures_and_no_more(fake_gpus, monkeypatch):
    fake_gpus({}, {"watts": None, "busy": None})
    first, second = probe.gpu_activity()
    assert (first.busy_percent, first.celsius, first.watts, first.watts_limit) == (87, 71, 312, 350)
    assert first.total_gb == pytest.approx(25.77, abs=0.01)
    assert (second.busy_percent, second.watts) == (None, None)
    assert (second.celsius, second.watts_limit) == (71, 350)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert probe.gpu_activity() == ()


@pytest.mark.parametrize(
    ("visible", "indices"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("-1", []),
        ("2,0", [2, 0]),
        (" 1 , 2", [1, 2]),
        ("GPU-1111-b", [1]),
        ("GPU-1111-a,2", [0, 2]),
        ("GPU-2", [2]),
        ("GPU-1111", []),  # of two GPUs
        ("1,9,0", [1]),  # CUDA shows what is before the first that is not there
        ("MIG-3f2e", []),
    ],
)
def test_visible_devices_may_be_indices_uuids_or_prefixes(fake_gpus, monkeypatch, visible, indices):
    fake_gpus({"uuid": "GPU-1111-a"}, {"uuid": "GPU-1111-b"}, {"uuid": "GPU-2222-c"})
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [gpu.index for gpu in probe.visible_gpus()] == indices
    assert [gpu.index for gpu in probe.visible_gpus("2")] == [2]


@pytest.mark.parametrize(
    ("flags", "has"), [("fpu avx512_bf16", True), ("amx_bf16 x", True), ("fpu avx2", False)]
)
def test_a_gpu_decides_over_bf16_and_without_one_the_processor(
    fake_gpus, monkeypatch, tmp_path, flags, has
):
    (tmp_path / "cpuinfo").write_text(f"flags\t\t: {flags}\n")
    monkeypatch.setattr(probe, "CPU_INFO", tmp_path / "cpuinfo")
    fake_gpus()
    assert probe.computes_bf16() is has
    fake_gpus({"capability": (7, 5)})
    assert probe.computes_bf16() is False
    fake_gpus({"capability": (8, 6)})
    assert probe.computes_bf16() is True
    fake_gpus()
    monkeypatch.setattr(probe, "CPU_INFO", tmp_path / "absent")
    assert probe.computes_bf16() is None


def test_requirements_are_those_of_this_python_and_of_the_extra_alone():
    always = {needed.name for needed in probe.requirements(None)}
    training = {needed.name for needed in probe.requirements("train")}
    assert {"msgspec", "psutil"} <= always
    assert "torch" in training
    assert not always & training
    assert len({"python-mecab-ko", "mecab-python3"} & always) == 1


@pytest.mark.parametrize(
    ("physical", "allowed", "cores"),
    [(4, {0, 1, 2, 3, 4, 5, 6, 7}, 4), (4, {0}, 1), (None, {0, 1}, 1)],
)
def test_cores_are_physical_ones_that_this_process_may_use(monkeypatch, physical, allowed, cores):
    monkeypatch.setattr("psutil.cpu_count", lambda *, logical: physical)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: allowed)
    assert probe.physical_cores() == cores
