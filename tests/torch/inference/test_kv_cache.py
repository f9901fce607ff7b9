"""Keys and values are written into buffers that stay where they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import torch  # noqa: TID253 -- pytest leaves this folder alone where torch is not wanted
from yoyak.engine.inference.kv_cache import PreallocatedLayer, compacted_order

pytestmark = pytest.mark.torch


def filled(rows=4, slots=6, tokens=3):
    layer = PreallocatedLayer(rows, slots)
    states = torch.arange(rows * tokens).view(rows, 1, tokens, 1).float()
    layer.update(states, -states)
    return layer, states


def test_tokens_are_appended_in_place():
    layer, states = filled()
    buffers = [buffer.data_ptr() for buffer in layer._buffers]
    new = torch.full((4, 1, 1, 1), 99.0)
    keys, values = layer.update(new, -new)
    assert keys.equal(torch.cat([states, new], dim=2))
    assert values.equal(-keys)
    assert layer.get_seq_length() == 4
    assert [keys.data_ptr(), values.data_ptr()] == buffers, "a view, no copy"


def test_rows_that_stay_take_the_places_of_rows_that_leave():
    layer, states = filled()
    buffers = [buffer.data_ptr() for buffer in layer._buffers]
    layer.keep(2, torch.tensor([0]), torch.tensor([3]))
    assert layer.keys.equal(states[[3, 1]])
    assert layer.values.equal(-states[[3, 1]])
    assert [buffer.data_ptr() for buffer in layer._buffers] == buffers


def test_beams_are_reordered_from_a_slot_on():
    layer, states = filled()
    layer.reorder(torch.tensor([1, 1, 0, 3]), first=2)
    kept, moved = layer._buffers[0][:, :, :2], layer._buffers[0][:, :, 2]
    assert kept.equal(states[:, :, :2])
    assert moved.equal(states[[1, 1, 0, 3]][:, :, 2])


@given(st.sets(st.integers(0, 19)))
def test_few_rows_move_and_none_is_lost(kept):
    order = compacted_order(sorted(kept))
    assert sorted(order) == sorted(kept)
    for place, row in enumerate(order):
        assert place == row or (place not in kept and row >= len(kept))
