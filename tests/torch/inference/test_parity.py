"""How two ways to generate are compared."""

import pytest

import torch  # noqa: TID253 -- pytest leaves this folder alone where torch is not wanted
from yoyak.engine.inference.parity import (
    Generation,
    equal_rows,
    evenly_spaced,
    logit_distance,
)
from yoyak.engine.tokenization.encode import EncodedRow

pytestmark = pytest.mark.torch


def test_distances_are_shares_of_the_references_standard_deviation():
    reference = torch.tensor([[0.0, 2.0], [4.0, 6.0]])
    found = logit_distance(reference + torch.tensor([[0.0, 1.0], [0.0, -1.0]]), reference)
    spread = reference.std().item()
    assert found.mean == pytest.approx(0.5 / spread)
    assert found.largest == pytest.approx(1 / spread)
    assert found.root_mean_square == pytest.approx(0.5**0.5 / spread)
    assert logit_distance(reference, reference) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("count", [1, 7, 20, 100])
def test_compared_rows_are_spread_over_all(count):
    rows = [EncodedRow(str(number), (1,), (), shortened=False) for number in range(count)]
    chosen = [int(row.id) for row in evenly_spaced(rows, 8)]
    assert len(chosen) == min(count, 8) == len(set(chosen))
    assert chosen[0] == 0
    assert chosen[-1] >= count * 0.6 - 1


def test_answers_are_equal_id_for_id():
    assert equal_rows(Generation([[1], [2, 3], []], 1.0), Generation([[1], [2], []], 9.0)) == 2
