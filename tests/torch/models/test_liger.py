"""Liger's kernels, replaced by functions of the same meaning: Triton itself needs a GPU."""

import sys
import types

import pytest

from support.kernels import lines
from yoyak.errors import Unavailable

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.config.schema import TrainSettings  # noqa: E402
from yoyak.engine.device import Precision  # noqa: E402
from yoyak.engine.models.kernels import (  # noqa: E402
    KernelOptions,
    KernelPatches,
    refuse_unsupported_kernels,
)
from yoyak.engine.models.model import ModelBundle  # noqa: E402

FAMILIES = ("llama", "qwen2", "qwen3")
FLOAT32 = Precision(torch.float32, None)


def rotated(query, key, cos, sin, position_ids=None, unsqueeze_dim=1):
    cos, sin = cos.unsqueeze(unsqueeze_dim), sin.unsqueeze(unsqueeze_dim)

    def turned(side):
        left, right = side.chunk(2, dim=-1)
        return side * cos + torch.cat([-right, left], dim=-1) * sin

    return turned(query), turned(key)


STAND_IN = {
    "liger_rope": rotated,
    "liger_rms_norm": lambda hidden, weight, eps, in_place: (
        weight * hidden * (hidden.square().mean(-1, keepdim=True) + eps).rsqrt()
    ),
    "liger_swiglu": lambda gate, up: torch.nn.functional.silu(gate) * up,
}


@pytest.fixture
def liger(monkeypatch):
    """A Liger whose functions are the given ones."""

    def install(**functions):
        called = set()

        def noted(name, function):
            def call(*args, **given):
                called.add(name)
                return function(*args, **given)

            return call

        module = types.SimpleNamespace(
            **{name: noted(name, each) for name, each in (STAND_IN | functions).items()}
        )
        monkeypatch.setitem(sys.modules, "liger_kernel.transformers.functional", module)
        monkeypatch.setenv("TRITON_INTERPRET", "1")
        return called

    return install


@pytest.mark.parametrize("family", FAMILIES)
def test_ligers_kernels_take_the_place_of_all_three_and_leave_again(family, bench, liger):
    called = liger()
    made = bench(family)
    before = {name: dict(vars(part)) for name, part in made.bundle.model.named_modules()}
    (line,) = lines(made, kernels="liger").values()
    assert line.passed, line.found
    assert called == set(STAND_IN)
    after = {name: dict(vars(part)) for name, part in made.bundle.model.named_modules()}
    assert [name for name in before if before[name].keys() != after[name].keys()] == []
    called.clear()
    made.logits(made.rows)
    assert called == set()


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("liger_swiglu", lambda gate, up: torch.nn.functional.silu(up) * gate),
        ("liger_rms_norm", lambda hidden, weight, eps, in_place: weight * hidden),
        ("liger_rope", lambda query, key, cos, sin, **_: (query, key)),
    ],
)
def test_the_probe_sees_a_kernel_that_computes_something_else(name, function, bench, liger):
    liger(**{name: function})
    assert not lines(bench("qwen3"), kernels="liger")["kernels-equal-torch"].passed


def test_liger_that_is_absent_or_has_no_card_is_named(bench, monkeypatch):
    bundle = bench("qwen3").bundle
    with pytest.raises(Unavailable, match="CUDA"):
        refuse_unsupported_kernels(bundle, TrainSettings(kernels="liger"), FLOAT32)
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setitem(sys.modules, "liger_kernel.transformers.functional", None)
    with pytest.raises(Unavailable, match=r"pip install 'yoyak\[kernels\]'"):
        refuse_unsupported_kernels(bundle, TrainSettings(kernels="liger"), FLOAT32)


def test_liger_refuses_a_model_it_does_not_know(toy):
    bart = toy("bart")
    bundle = ModelBundle(bart.model, bart.tokenizer, bart.kind, bart.device)
    with pytest.raises(Unavailable, match="bart"):
        KernelPatches(bundle, KernelOptions(liger=True))
