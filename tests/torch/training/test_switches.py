"""Packing, Liger's kernels and compilation change no gradient, and a probe tells when they do."""

import sys
import types
from itertools import pairwise

import pytest

from support.training import train
from yoyak.errors import BadRecipe, RunFailed, Unavailable

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.config.schema import TrainSettings  # noqa: E402
from yoyak.engine.device import Precision  # noqa: E402
from yoyak.engine.models import packing  # noqa: E402
from yoyak.engine.models.kernels import KernelOptions, KernelPatches, refuse_unsupported_kernels  # noqa: E402
from yoyak.engine.models.model import ModelBundle  # noqa: E402
from yoyak.engine.pipeline.start import load_checkpoint  # noqa: E402
from yoyak.engine.preflight.kernel_checks import check_kernels  # noqa: E402
from yoyak.engine.preflight.model_checks import CheckContext  # noqa: E402
from yoyak.engine.tokenization.encode import encode_rows  # noqa: E402
from yoyak.engine.training.checkpoint import TrainState  # noqa: E402
from yoyak.engine.training.recovery import accumulate_gradients  # noqa: E402

FAMILIES = ("llama", "qwen2", "qwen3")
FLOAT32 = Precision(torch.float32, None)
SETS = ("train.max_steps=6", "train.epochs=9", "evaluate.every_epochs=none")
PACKED = (*SETS, "train.packing=on", "train.micro_batch_size=4")


@pytest.fixture
def bench(adapted, dialogues):
    def make(family):
        made = adapted(family)
        rows = encode_rows(made.tokenizer, dialogues[:8], made.recipe.prompt, with_answers=True)
        return CheckContext.of(
            ModelBundle(made.model, made.tokenizer, made.kind, made.device), rows, FLOAT32
        )

    return make


def lines(bench, **settings):
    return {line.name: line for line in check_kernels(bench, TrainSettings(**settings))}


# --- packing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_rows_have_the_loss_and_the_gradient_of_padded_ones(family, bench):
    (line,) = lines(bench(family), packing="on").values()
    assert line.passed, line.found


def test_a_packed_line_has_no_padding_and_supervises_the_same(bench):
    made = bench("qwen3")
    padded, packed = (made.batch(made.rows, packed=packed) for packed in (False, True))
    lengths = [len(row.source_ids) + len(row.answer_ids) - 1 for row in made.rows]
    assert packed.input_ids.shape == (1, sum(lengths))
    assert packed.packing.cu_seqlens.tolist() == [0, *torch.tensor(lengths).cumsum(0).tolist()]
    assert packed.packing.max_seqlen == max(lengths)
    assert packed.targets.tolist() == padded.targets.tolist()
    places = packed.input_ids.flatten()[packed.label_positions].tolist()
    assert places == padded.input_ids.flatten()[padded.label_positions].tolist()


def test_the_probe_sees_a_mask_that_leaks(bench, monkeypatch):
    from transformers import masking_utils

    monkeypatch.setattr(masking_utils, "find_packed_sequence_indices", lambda positions: None)
    assert not lines(bench("qwen3"), packing="on")["packed-equals-padded"].passed


def test_the_probe_sees_positions_that_begin_anew_one_token_late(bench, monkeypatch):
    from yoyak.engine.models import collate

    packed = collate._packed

    def late(rows, device):
        batch = packed(rows, device)
        moved = batch.packing._replace(position_ids=batch.packing.position_ids.roll(1))
        return batch._replace(packing=moved)

    monkeypatch.setattr(collate, "_packed", late)
    assert not lines(bench("llama"), packing="on")["packed-equals-padded"].passed


def by_rows(query, key, value, *, cu_seq_q, scale, window_size, enable_gqa, **_):
    """What torch's varlen kernel does on a card, one row at a time."""
    assert window_size == (-1, 0)
    found = []
    for start, end in pairwise(cu_seq_q):
        sides = [side[start:end].transpose(0, 1) for side in (query, key, value)]
        row = torch.nn.functional.scaled_dot_product_attention(
            *sides, is_causal=True, scale=scale, enable_gqa=enable_gqa
        )
        found.append(row.transpose(0, 1))
    return torch.cat(found)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_attention_of_a_card_goes_by_bounds_and_needs_no_mask(family, bench, monkeypatch):
    from torch.nn.attention import varlen
    from transformers import AttentionInterface, masking_utils

    made = bench(family)
    monkeypatch.setattr(varlen, "varlen_attn", by_rows)
    AttentionInterface.register(packing.ATTENTION, packing.varlen_forward)
    config = made.bundle.model.get_base_model().config
    plain = made.logits(made.rows)
    config._attn_implementation = packing.ATTENTION
    monkeypatch.setattr(
        masking_utils, "find_packed_sequence_indices", lambda _: pytest.fail("a mask is built")
    )
    from yoyak.engine.models.loss import supervised_logits

    with torch.no_grad():
        packed = supervised_logits(made.bundle.model, made.batch(made.rows, packed=True))
    assert torch.allclose(packed, plain, atol=1e-4)


def test_a_packed_run_learns_what_a_padded_one_does_in_fewer_tokens(context, tmp_path):
    sets = ("lora.lora_dropout=0.0", "train.micro_batch_tokens=700")
    losses, tokens = {}, {}
    for way in ("off", "on"):
        made = context("lora", *PACKED, *sets, f"train.packing={way}", folder=tmp_path / way)
        seen = tokens[way] = []
        made.optimizer.bundle.model.get_base_model().model.register_forward_pre_hook(
            lambda _module, _args, given, seen=seen: seen.append(given["input_ids"].numel()),
            with_kwargs=True,
        )
        assert train(made).packed is (way == "on")
        losses[way] = [event.loss for event in context.said if hasattr(event, "loss")]
        context.said.clear()
    assert losses["on"] == pytest.approx(losses["off"], rel=1e-4)
    assert sum(tokens["on"]) < sum(tokens["off"])
    assert max(tokens["on"]) <= 700


def test_a_packed_run_is_gone_on_with_packed_and_ends_with_the_same_bits(context, bits, tmp_path):
    whole = context("nf4", *PACKED, folder=tmp_path / "whole")
    train(whole)
    made = context("nf4", *PACKED)

    def crash(event):
        if getattr(event, "step", 0) == 5:
            raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        train(made._replace(job=made.job._replace(emit=crash)))
    again = context("nf4", *PACKED)
    assert load_checkpoint(again).packed
    train(again)
    assert bits(again.optimizer) == bits(whole.optimizer)


def test_packing_that_is_switched_on_later_is_proved_first(context, monkeypatch):
    from transformers import masking_utils

    train(context("lora", *SETS, "train.packing=off", "train.max_steps=3"))
    later = context("lora", *SETS, "train.packing=on", "train.max_steps=3")
    with monkeypatch.context() as fault:
        fault.setattr(masking_utils, "find_packed_sequence_indices", lambda positions: None)
        with pytest.raises(RunFailed, match="packed rows give the gradient"):
            load_checkpoint(later)
    assert load_checkpoint(later).packed


def test_an_encoder_decoder_pads_and_says_so(context):
    with pytest.raises(BadRecipe, match="encoder-decoder"):
        context("bart", *SETS, "train.packing=on")


# --- Liger's kernels -----------------------------------------------------------------------------


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
"""Liger's functions by their meaning: Triton's kernels themselves need a card."""


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


# --- compilation ---------------------------------------------------------------------------------


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
