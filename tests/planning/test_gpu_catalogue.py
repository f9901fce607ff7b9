"""A GPU is known by its data sheet; its memory is what the driver says."""

import pytest

from yoyak.planning.gpu_catalogue import find_spec, installed_gpus


def test_a_card_is_known_by_its_whole_name():
    assert find_spec("NVIDIA GeForce RTX 3090").name == "RTX 3090"
    assert find_spec("NVIDIA A100-SXM4-40GB").name == "A100"
    assert find_spec("NVIDIA L40S").name == "L40S"
    assert find_spec("Quadro P400") is None


def test_an_installed_gpu_has_its_own_memory_and_the_speed_of_its_data_sheet(
    fake_gpus, monkeypatch
):
    fake_gpus({}, {"name": "Quadro P400", "memory": (2048, 0)})
    known, unknown = installed_gpus()
    assert (known.tflops, known.memory_gb) == (71.0, pytest.approx(25.77, abs=0.01))
    assert (unknown.tflops, unknown.memory_gb) == (None, pytest.approx(2.15, abs=0.01))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert installed_gpus() == (unknown,)
    fake_gpus()
    assert installed_gpus() == ()
