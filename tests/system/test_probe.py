"""What the machine has: GPUs as NVML shows them, base models, the hub."""

import socket
import sys
import threading

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


@pytest.fixture
def hub(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    snapshot = tmp_path / "models--org--large" / "snapshots" / "0"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").touch()
    return snapshot


def test_a_base_of_which_a_part_is_missing_is_still_to_be_downloaded(hub):
    (hub / "model-00001-of-00002.safetensors").touch()
    status = probe.base_status("org/large")
    assert (status.folder, status.problem) == (None, None)
    (hub / "model-00002-of-00002.safetensors").touch()
    assert probe.base_status("org/large").folder == hub


def test_a_local_base_is_whole_or_a_problem(tmp_path):
    folder = tmp_path / "base"
    assert probe.base_status(str(folder)).problem == "system.base-missing"
    assert probe.base_status("./base").problem == "system.base-missing"
    folder.mkdir()
    assert probe.base_status(str(folder)).problem == "system.base-incomplete"
    (folder / "config.json").touch()
    (folder / "training_args.bin").touch()
    assert probe.base_status(str(folder)).problem == "system.base-incomplete"
    (folder / "pytorch_model.bin").touch()
    assert probe.base_status(str(folder)) == probe.BaseModelStatus(
        base=str(folder), folder=folder, is_local=True
    )


def test_requirements_are_those_of_this_python_and_of_the_extra_alone():
    always = {needed.name for needed in probe.requirements(None)}
    training = {needed.name for needed in probe.requirements("train")}
    assert {"msgspec", "psutil"} <= always
    assert "torch" in training
    assert not always & training
    assert len({"python-mecab-ko", "mecab-python3"} & always) == 1


def test_the_hub_is_asked_for_two_seconds_at_most(monkeypatch):
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert probe.hub_is_reachable()
    monkeypatch.setattr(probe, "NETWORK_SECONDS", 0.1)
    answered = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answered.wait() and [])
    assert not probe.hub_is_reachable(), "a name server that never answers is not waited for"
    answered.set()
