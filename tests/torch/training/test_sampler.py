import pytest
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.models.collate import (  # noqa: E402
    RowShape,
    padded_tokens,
)
from yoyak.engine.training.sampler import epoch_steps  # noqa: E402

shapes = st.lists(
    st.builds(RowShape, st.integers(0, 60), st.integers(1, 40)), min_size=1, max_size=80
)


@given(shapes, st.integers(1, 9), st.integers(0, 3), st.integers(0, 3))
def test_an_epoch_has_every_row_once(rows, batch_size, seed, epoch):
    steps = epoch_steps(rows, batch_size, seed=seed, epoch=epoch)
    assert sorted(row for step in steps for row in step) == list(range(len(rows)))
    assert len(steps) == -(-len(rows) // batch_size)
    assert all(len(step) <= batch_size for step in steps)
    assert sum(len(step) < batch_size for step in steps) <= 1


def test_the_order_depends_on_seed_and_epoch_alone():
    rows = [RowShape(number % 37, number % 11 + 1) for number in range(200)]
    first = epoch_steps(rows, 8, seed=1, epoch=0)
    assert first == epoch_steps(rows, 8, seed=1, epoch=0)
    assert first != epoch_steps(rows, 8, seed=1, epoch=1)
    assert first != epoch_steps(rows, 8, seed=2, epoch=0)
    together = {frozenset(step) for step in first}
    again = {frozenset(step) for step in epoch_steps(rows, 8, seed=1, epoch=1)}
    assert len(together & again) < 5, "another epoch has other rows together"


def test_rows_of_like_length_share_a_step():
    rows = [RowShape(0, (number * 7919) % 500 + 20) for number in range(1000)]
    steps = epoch_steps(rows, 8, seed=3, epoch=0)
    padded = sum(padded_tokens([rows[row] for row in step]) for step in steps)
    in_file_order = sum(padded_tokens(rows[start : start + 8]) for start in range(0, 1000, 8))
    real = sum(sum(row) for row in rows)
    assert padded < 1.05 * real < 1.4 * real < in_file_order
