"""Compiled blocks have the gradient of plain ones."""

import pytest

from support.kernels import lines
from yoyak.errors import Unavailable

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.config.schema import TrainSettings  # noqa: E402
from yoyak.engine.device import Precision  # noqa: E402
from yoyak.engine.models.kernels import refuse_unsupported_kernels  # noqa: E402
from yoyak.engine.training.checkpoint import TrainState  # noqa: E402
from yoyak.engine.training.recovery import accumulate_gradients  # noqa: E402

FLOAT32 = Precision(torch.float32, None)
SETS = ("train.max_steps=6", "train.epochs=9", "evaluate.every_epochs=none")


@pytest.mark.slow
def test_compiled_blocks_have_the_gradient_of_plain_ones(bench):
    found = lines(bench("qwen3"), compile=True, packing="on")
    assert [(line.name, line.passed) for line in found.values()] == [
        ("compiled-equals-eager", True),
        ("packed-equals-padded", True),
    ]


@pytest.mark.slow
def test_all_blocks_and_all_lengths_share_two_graphs(context, monkeypatch):
    from torch._dynamo import reset
    from torch._dynamo.utils import counters

    reset()
    counters.clear()
    compiler = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda forward, **g: compiler(forward, backend="aot_eager", **g)
    )
    made = context("lora", *SETS, "train.compile=true", "model.scratch.layers=6")
    for step in range(4):
        accumulate_gradients(made, TrainState(budget_tokens=4096), made.schedule.rows(step))
    assert counters["stats"]["unique_graphs"] == 2, "the first block's input needs no gradient"
    assert not counters["graph_break"]


def test_the_probe_sees_a_compiler_that_computes_something_else(bench, monkeypatch):
    monkeypatch.setattr(
        torch, "compile", lambda forward, dynamic: lambda *a, **g: 1.5 * forward(*a, **g)
    )
    assert not lines(bench("qwen3"), compile=True)["compiled-equals-eager"].passed


def test_what_breaks_in_a_compiler_is_a_red_line(bench, monkeypatch):
    def broken(forward, dynamic):
        def fail(*args, **given):
            raise RuntimeError("backend failed\nmore")

        return fail

    monkeypatch.setattr(torch, "compile", broken)
    line = lines(bench("qwen3"), compile=True)["compiled-equals-eager"]
    assert not line.passed
    assert "RuntimeError" in line.found
    assert "backend failed" in line.found


def test_a_machine_without_a_compiler_says_what_to_install(bench, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Unavailable, match=r"apt-get install g\+\+"):
        refuse_unsupported_kernels(bench("qwen3").bundle, TrainSettings(compile=True), FLOAT32)
