"""Bytes of weights, activations and checkpoints, by hand."""

import pytest

from yoyak.planning.disk_estimate import checkpoint_bytes
from yoyak.planning.memory_estimate import NF4_BYTES, frozen_bytes
from yoyak.planning.model_shapes import look_up, shape_of


@pytest.mark.parametrize(
    ("name", "weights_gb", "download_gb", "checkpoint_gb"),
    [
        # The first: 28 × 100,663,296 weights at 0.5159 bytes and 394,177,536 others at 2.
        ("llama32-ko-3b", 2.242, 6.425, 0.292),
        ("qwen3-4b", 2.652, 8.045, 0.396),
        ("qwen25-7b", 5.546, 15.231, 0.484),
        ("llama3-ko-8b", 5.702, 16.061, 0.503),
    ],
)
def test_bytes_of_the_four_llms_by_hand(name, weights_gb, download_gb, checkpoint_gb, resolved):
    (recipe,) = resolved(name)
    shape = shape_of(recipe)
    assert frozen_bytes(shape, recipe) / 1e9 == pytest.approx(weights_gb, abs=0.001)
    (model,) = look_up([recipe])
    assert model.download_bytes / 1e9 == pytest.approx(download_gb, abs=0.001)
    assert checkpoint_bytes(shape, recipe) / 1e9 == pytest.approx(checkpoint_gb, abs=0.001)


def test_nf4_takes_half_a_byte_and_its_two_scales():
    assert pytest.approx(0.515869, abs=1e-6) == NF4_BYTES
