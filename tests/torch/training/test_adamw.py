"""AdamW's state, and 8-bit moments against 32-bit ones."""

import sys

import pytest

from yoyak.config.schema import Optim, TrainSettings
from yoyak.errors import Unavailable

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.training.adamw import (  # noqa: E402
    build_optimizer,
    load_optimizer_state,
    optimizer_state,
    set_lr,
)


def parameters(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        "matrix": torch.nn.Parameter(torch.randn(80, 64, generator=generator)),
        "bias": torch.nn.Parameter(torch.randn(9, generator=generator)),
    }


def step(optimizer, named, number, lr=1e-3):
    generator = torch.Generator().manual_seed(number)
    for value in named.values():
        value.grad = torch.randn(value.shape, generator=generator)
    set_lr(optimizer, lr)
    optimizer.step()


def test_matrices_decay_and_vectors_do_not():
    named = {
        "matrix": torch.nn.Parameter(torch.ones(2, 2)),
        "bias": torch.nn.Parameter(torch.ones(2)),
    }
    adamw = build_optimizer(named, TrainSettings(weight_decay=0.5, learning_rate=0.1))
    set_lr(adamw, 0.1)
    for value in named.values():
        value.grad = torch.zeros_like(value)
    adamw.step()
    assert torch.equal(named["matrix"], torch.full((2, 2), 0.95))
    assert torch.equal(named["bias"], torch.ones(2))


def test_moments_are_there_before_the_first_step_and_in_float32():
    named = {"weight": torch.nn.Parameter(torch.ones(3, 3))}
    moments = optimizer_state(build_optimizer(named, TrainSettings()), named)
    assert set(moments) == {"step/weight", "exp_avg/weight", "exp_avg_sq/weight"}
    assert {tensor.dtype for tensor in moments.values()} == {torch.float32}


def test_a_parameter_learns_at_its_multiple_of_the_rate():
    named, plain = parameters(), parameters()
    scaled = build_optimizer(named, TrainSettings(), {"bias": 4.0})
    fourfold = build_optimizer(plain, TrainSettings())
    for number in range(3):
        step(scaled, named, number)
        step(fourfold, plain, number, lr=4e-3)
    assert torch.equal(named["bias"], plain["bias"])
    assert not torch.equal(named["matrix"], plain["matrix"])


def test_8_bit_moments_are_near_32_bit_ones_and_take_a_quarter():
    pytest.importorskip("bitsandbytes")
    named, plain = parameters(), parameters()
    start = plain["matrix"].detach().clone()
    ours = build_optimizer(named, TrainSettings(optim=Optim.ADAMW_8BIT, weight_decay=0.01))
    theirs = build_optimizer(plain, TrainSettings(weight_decay=0.01))
    for number in range(20):
        step(ours, named, number)
        step(theirs, plain, number)
    moved = plain["matrix"] - start
    assert (named["matrix"] - plain["matrix"]).norm() < 0.05 * moved.norm()
    assert torch.allclose(named["bias"], plain["bias"], atol=1e-6), "small tensors keep 32 bit"
    state = optimizer_state(ours, named)
    assert {state[f"{kind}/matrix"].dtype for kind in ("state1", "state2")} == {torch.uint8}


def test_8_bit_moments_are_resumed_bit_for_bit():
    pytest.importorskip("bitsandbytes")
    named, again = parameters(), parameters()
    first, second = (
        build_optimizer(each, TrainSettings(optim=Optim.ADAMW_8BIT)) for each in (named, again)
    )
    for number in range(3):
        step(first, named, number)
    load_optimizer_state(
        second,
        again,
        {name: value.clone() for name, value in optimizer_state(first, named).items()},
    )
    with torch.no_grad():
        for name, value in again.items():
            value.copy_(named[name])
    for number in range(3, 6):
        step(first, named, number)
        step(second, again, number)
    assert all(torch.equal(named[name], again[name]) for name in named)


@pytest.mark.parametrize("optim", [each for each in Optim if each.is_paged])
def test_paged_moments_are_refused_without_a_gpu(optim):
    with pytest.raises(Unavailable, match="no GPU here"):
        build_optimizer(parameters(), TrainSettings(optim=optim))


def test_8_bit_moments_without_bitsandbytes_name_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", None)
    with pytest.raises(Unavailable, match="needs bitsandbytes"):
        build_optimizer(parameters(), TrainSettings(optim=Optim.ADAMW_8BIT))
