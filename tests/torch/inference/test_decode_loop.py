"""Greedy decoding against transformers, alone and in a batch that shrinks."""

import pytest

from support.inference import NEW, reference
from yoyak.config.schema import Greedy
from yoyak.engine.inference import decode_loop

pytestmark = pytest.mark.torch

ARCHITECTURES = ("bart", "llama", "qwen2", "qwen3")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_greedy_equals_transformers(architecture, taught, encoded):
    model = taught(architecture)
    rows = encoded(model)
    ours = {
        row.id: ids
        for row, ids in zip(
            rows, decode_loop.generate_tokens(model, rows, Greedy(), NEW), strict=True
        )
    }
    assert ours == {row.id: reference(model, row, num_beams=1) for row in rows}
