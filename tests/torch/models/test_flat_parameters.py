"""Parameters in one tensor are trained as if each stood alone."""

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.models.flat_parameters import FlatParameters  # noqa: E402

SHAPES = {"a": (3, 4), "b": (5, 1), "c": (2, 2)}


def parameters():
    generator = torch.Generator().manual_seed(4)
    return {
        name: torch.nn.Parameter(torch.randn(shape, generator=generator))
        for name, shape in SHAPES.items()
    }


def test_adamw_and_clipping_do_what_they_do_to_each_alone():
    alone, named = parameters(), parameters()
    flat = FlatParameters(named)
    plain = torch.optim.AdamW(alone.values(), lr=0.1, weight_decay=0.3)
    joined = torch.optim.AdamW([flat.value], lr=0.1, weight_decay=0.3)
    for step in range(3):
        for side in (alone, named):
            if side is named:
                flat.attach()
            sum((value**3).sum() * (step + 1) for value in side.values()).backward()
        norms = [
            torch.nn.utils.clip_grad_norm_(side, 0.5) for side in (alone.values(), [flat.value])
        ]
        torch.testing.assert_close(*norms)
        plain.step()
        joined.step()
        plain.zero_grad()
        flat.zero_grad()
        assert all(value.grad is None for value in named.values())
        for name, value in alone.items():
            torch.testing.assert_close(named[name], value)
            assert named[name].shape == SHAPES[name]


@pytest.mark.parametrize("given", ["all", "one"])
def test_gradients_made_elsewhere_are_taken_over(given):
    named = parameters()
    flat = FlatParameters(named)
    flat.attach()
    flat.value.grad.fill_(7.0)  # of a step that was given up
    flat.zero_grad()
    for name, value in named.items():
        if given == "all" or name == "b":
            value.grad = torch.ones_like(value)
    flat.attach()
    parts = flat.split({"grad/value": flat.value.grad})
    for name, value in named.items():
        expected = 1.0 if given == "all" or name == "b" else 0.0
        assert torch.equal(value.grad, torch.full(SHAPES[name], expected))
        assert parts[f"grad/{name}"].data_ptr() == value.grad.data_ptr()


def test_made_a_second_time_it_shares_the_values():
    named = parameters()
    first = FlatParameters(named)
    again = FlatParameters(named)
    with torch.no_grad():
        first.value.add_(1.0)
    assert torch.equal(again.value, first.value)
    assert torch.equal(named["b"].flatten(), again.value[0, 12:17])
