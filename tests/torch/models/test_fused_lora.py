"""Fused LoRA layers have PEFT's gradients, with fewer operators and fewer bytes kept."""

import contextlib
from collections import Counter
from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
import transformers as hf  # noqa: E402, TID253
from peft import LoraConfig, get_peft_model  # noqa: E402, TID253
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402, TID253

from support.kernels import lines  # noqa: E402
from yoyak.config.schema import BeamSearch, Greedy, TrainSettings  # noqa: E402
from yoyak.engine.device import Precision  # noqa: E402
from yoyak.engine.inference.generate import DecodeJob, decoded  # noqa: E402
from yoyak.engine.inference.next_token import next_token_scores  # noqa: E402
from yoyak.engine.models import fused_lora  # noqa: E402
from yoyak.engine.models.flat_parameters import flat_adapters  # noqa: E402
from yoyak.engine.models.fused_lora import FusedLora, LoraGroup  # noqa: E402
from yoyak.engine.models.kernels import (  # noqa: E402
    DecodeKernels,
    KernelOptions,
    KernelPatches,
    refuse_unsupported_kernels,
)
from yoyak.engine.models.model import ModelBundle, trainable_parameters  # noqa: E402
from yoyak.engine.preflight.model_checks import kernels_refused  # noqa: E402
from yoyak.engine.tokenization.encode import EncodedRow  # noqa: E402
from yoyak.engine.training.optimizer import ModelOptimizer  # noqa: E402
from yoyak.errors import Unavailable  # noqa: E402

WIDTH = 128
BLOCKS = {
    "llama": hf.LlamaConfig,
    "mistral": hf.MistralConfig,
    "qwen2": hf.Qwen2Config,
    "qwen3": hf.Qwen3Config,
}
OTHERS = {"gemma2": hf.Gemma2Config, "phi3": hf.Phi3Config}
VIEWS = {
    *("t", "transpose", "view", "_unsafe_view", "unsqueeze", "squeeze", "expand", "slice"),
    *("select", "split", "split_with_sizes", "detach", "alias", "permute", "as_strided"),
}


def build(
    family="qwen3", *, layers=2, dtype=torch.float32, dropout=0.0, targets="all-linear", **variant
):
    """A model with LoRA whose B matrices are not zero; the same one each time."""
    sizes = {
        "vocab_size": 256,
        "hidden_size": WIDTH,
        "intermediate_size": 3 * WIDTH,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": WIDTH // 4,
        "pad_token_id": 0,
    }
    with torch.random.fork_rng():
        torch.manual_seed(5)
        config = (BLOCKS | OTHERS)[family](**sizes)
        model = hf.AutoModelForCausalLM.from_config(config).to(dtype)
        model.requires_grad_(False)
        lora = LoraConfig(
            r=16, lora_alpha=24, lora_dropout=dropout, target_modules=targets, **variant
        )
        adapted = get_peft_model(model, lora, autocast_adapter_dtype=True)
        for name, value in adapted.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(value, std=0.02)
    return adapted.train()


def bundle_of(model):
    return ModelBundle(model, None, "causal", torch.device("cpu"))


def patched(model, *, fused):
    options = KernelOptions(fused=fused)
    return KernelPatches(bundle_of(model), options).active(packed=False)


def tokens(rows=2, length=24):
    return torch.randint(1, 256, (rows, length), generator=torch.Generator().manual_seed(1))


def backward(model, *, fused, amp=False, seed=0):
    """The gradients of a causal loss, by name."""
    model.zero_grad(set_to_none=True)
    torch.manual_seed(seed)
    with patched(model, fused=fused):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=amp):
            loss = model(input_ids=tokens(), labels=tokens(), use_cache=False).loss
        loss.backward()
    named = model.named_parameters()
    return {name: value.grad.clone() for name, value in named if value.grad is not None}


def apart(found, expected):
    """The largest relative distance of a matrix's gradient."""
    assert found.keys() == expected.keys()
    return max(
        float((found[name] - expected[name]).norm() / expected[name].norm()) for name in expected
    )


@pytest.mark.parametrize("family", [*BLOCKS, *OTHERS])
def test_gradients_are_those_of_peft(family):
    model = build(family)
    assert apart(backward(model, fused=True), backward(model, fused=False)) < 1e-5


@pytest.mark.parametrize("family", BLOCKS)
def test_known_blocks_are_replaced_whole(family):
    patches = FusedLora(bundle_of(build(family))).patches
    assert [type(patch.value).__name__ for patch in patches] == ["_FusedBlock"] * 2


@pytest.mark.parametrize(("family", "count"), [("gemma2", 14), ("phi3", 8)])
def test_in_other_blocks_each_projection_is_replaced(family, count):
    patches = FusedLora(bundle_of(build(family))).patches
    assert len(patches) == count
    assert all("LoraGroup.project" in str(patch.value) for patch in patches)


def test_a_recipe_that_adapts_two_of_the_seven_has_the_same_gradient():
    model = build(targets=["q_proj", "v_proj"])
    assert len(FusedLora(bundle_of(model)).patches) == 4
    assert apart(backward(model, fused=True), backward(model, fused=False)) < 1e-5


def test_rank_stabilised_adapters_have_the_same_gradient():
    model = build(use_rslora=True)
    assert apart(backward(model, fused=True), backward(model, fused=False)) < 1e-5
    assert FusedLora(bundle_of(model)).patches


def test_layers_of_dora_stay_with_peft():
    model = build(use_dora=True)
    assert not FusedLora(bundle_of(model)).patches
    assert "lora_magnitude_vector" in " ".join(backward(model, fused=True))


def test_recomputed_blocks_have_the_same_gradient():
    model = build()
    expected = backward(model, fused=False)
    model.get_base_model().gradient_checkpointing_enable({"use_reentrant": False})
    assert apart(backward(model, fused=True), expected) < 1e-5


def test_the_next_step_uses_the_changed_weights():
    model = build()
    backward(model, fused=True)
    with torch.no_grad():
        for value in model.parameters():
            if value.requires_grad:
                value.mul_(1.5)
    assert apart(backward(model, fused=True), backward(model, fused=False)) < 1e-5


def test_in_bfloat16_it_is_as_near_to_exact_arithmetic_as_peft():
    exact = backward(build(), fused=False)
    model = build(dtype=torch.bfloat16)
    fused, plain = (backward(model, fused=each, amp=True) for each in (True, False))
    assert apart(fused, exact) < 1.5 * apart(plain, exact)
    assert all(value.dtype is torch.float32 for value in fused.values())


class Collected(torch.autograd.Function):
    """Returns the gradients that a computation adds to its parameters' own."""

    @staticmethod
    def forward(ctx, compute, hidden, *matrices):
        with torch.enable_grad():
            ctx.hidden = hidden.detach().requires_grad_()
            ctx.outputs = compute(ctx.hidden)
        ctx.matrices = matrices
        return ctx.outputs.detach()

    @staticmethod
    def backward(ctx, outer):
        for each in (ctx.hidden, *ctx.matrices):
            each.grad = None
        ctx.outputs.backward(outer, retain_graph=True)
        return None, ctx.hidden.grad, *(each.grad for each in ctx.matrices)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_a_block_has_the_gradient_of_what_it_computes(family, dropout):
    model = build(family, layers=1, dropout=dropout).double()
    inner = model.get_base_model().model
    (patch,) = FusedLora(bundle_of(model)).patches
    hidden = torch.randn(2, 5, WIDTH, dtype=torch.float64)
    angles = inner.rotary_emb(hidden, torch.arange(5)[None])
    adapters = [value for value in model.parameters() if value.requires_grad]

    def outputs(hidden):
        torch.manual_seed(2)  # the same masks each time
        patch.value.qkv._copies.reset()
        return patch.value(hidden, position_embeddings=angles)

    def collected(hidden, *matrices):
        return Collected.apply(outputs, hidden, *matrices)

    given = (hidden.requires_grad_(), *adapters)
    assert torch.autograd.gradcheck(collected, given, fast_mode=True)
    plain = inner.layers[0](hidden, position_embeddings=angles)
    assert torch.allclose(outputs(hidden), plain, rtol=1e-6) is not bool(dropout)


@pytest.mark.parametrize("adjoin", [True, False])
def test_gradients_are_added_to_those_there_are(adjoin):
    model = build()
    expected = backward(model, fused=False)
    for name, value in model.named_parameters():
        if value.requires_grad:
            value.grad = None if adjoin and "lora_A" in name else torch.ones_like(value)
    with patched(model, fused=True):
        for _ in range(2):
            model(input_ids=tokens(), labels=tokens(), use_cache=False).loss.backward()
    for name, once in expected.items():
        before = 0.0 if adjoin and "lora_A" in name else 1.0
        found = model.get_parameter(name).grad
        torch.testing.assert_close(found, before + 2 * once, rtol=1e-4, atol=1e-5)


def test_dropout_is_drawn_from_the_seed_and_off_in_evaluation():
    model = build(dropout=0.3)
    first, again, other = (backward(model, fused=True, seed=seed) for seed in (1, 1, 2))
    assert apart(first, again) == 0.0
    assert apart(first, other) > 0.01
    model.eval()
    assert apart(backward(model, fused=True), backward(model, fused=False)) < 1e-5


def test_a_projection_called_alone_or_twice_has_its_own_output():
    qkv = build(targets=["q_proj", "k_proj"]).get_base_model().model.layers[0].self_attn
    hidden, other = torch.randn(1, 4, WIDTH), torch.randn(1, 4, WIDTH)
    expected = qkv.q_proj(hidden), qkv.k_proj(other), qkv.k_proj(hidden)
    group = LoraGroup([qkv.q_proj, qkv.k_proj])
    found = group.project(0, hidden), group.project(1, other), group.project(1, hidden)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(group.project(1, hidden), expected[2])


def test_cross_attention_computes_no_projection_of_another_input(adapted, monkeypatch):
    made = adapted("bart", dropout=0.0)
    model = made.model.double().eval()
    for name, value in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.02)

    def gradients(patches):
        model.zero_grad(set_to_none=True)
        with patches.active(packed=False):
            model(input_ids=tokens(), labels=tokens(length=9)).loss.backward()
        named = model.named_parameters()
        return {name: value.grad.clone() for name, value in named if value.grad is not None}

    plain, fused = (
        KernelPatches(bundle_of(model), KernelOptions(fused=on)) for on in (False, True)
    )
    expected = gradients(plain)
    # A projection called with another input than its group's first is made a group of its own.
    monkeypatch.setattr(fused_lora, "LoraGroup", lambda layers: pytest.fail("computed in vain"))
    assert apart(gradients(fused), expected) < 1e-10


class Operators(TorchDispatchMode):
    """Counts the operators that are dispatched, views aside."""

    def __init__(self):
        super().__init__()
        self.names = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket._qualified_op_name.split("::")[1]
        self.names[name] += name not in VIEWS
        return function(*args, **(kwargs or {}))


class Cost(Counter):
    """Operators forward and backward, and bytes kept per token."""


def cost(layers, *, fused, dropout=0.0, dtype=torch.bfloat16):
    """What a pass of so many blocks costs; the second pass, when nothing is made for the first."""
    model = build(layers=layers, dtype=dtype, dropout=dropout)
    backbone, ids = model.get_base_model().model, tokens()
    kept = {}
    flat = flat_adapters(model, trainable_parameters(model)) if fused else model
    own = {value.untyped_storage().data_ptr() for value in model.parameters()}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage
        return tensor

    with patched(model, fused=fused):
        for _ in range(2):
            flat.zero_grad()
            if fused:
                flat.attach()
            kept.clear()
            with (
                torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
                Operators() as forward,
                torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype is torch.bfloat16),
            ):
                hidden = backbone(input_ids=ids, use_cache=False).last_hidden_state
                loss = hidden.float().square().mean()
            with Operators() as back:
                loss.backward()
    bytes_kept = sum(storage.nbytes() for storage in kept.values())
    return Cost(
        forward=forward.names.total(),
        backward=back.names.total(),
        bytes=bytes_kept / ids.numel(),
    )


def block_cost(**given):
    """What one more block costs."""
    more = cost(3, **given)
    more.subtract(cost(2, **given))
    return more


def test_a_block_dispatches_half_of_pefts_operators_and_keeps_less_than_half_of_its_bytes():
    fused, plain = block_cost(fused=True), block_cost(fused=False)
    print(f"fused {dict(fused)}, PEFT {dict(plain)}")
    assert fused["forward"] <= 0.55 * plain["forward"]
    assert fused["backward"] <= 0.55 * plain["backward"]
    assert fused["bytes"] <= 0.5 * plain["bytes"]
    # Counted before these functions were written: 114 and 166 operators, 7.6 kB.
    assert fused["forward"] + fused["backward"] <= 0.46 * (114 + 166)
    assert fused["bytes"] <= 0.5 * 7_600


def test_in_float32_a_block_dispatches_little_more_than_half_of_pefts_operators():
    fused, plain = (block_cost(fused=each, dtype=torch.float32) for each in (True, False))
    print(f"fused {dict(fused)}, PEFT {dict(plain)}")
    assert fused["forward"] + fused["backward"] <= 0.55 * (plain["forward"] + plain["backward"])


def test_clipping_and_adamw_dispatch_as_much_for_many_blocks_as_for_one():
    counts = []
    for layers in (1, 3):
        optimizer = ModelOptimizer(bundle_of(build(layers=layers)), TrainSettings())
        for value in optimizer.named.values():
            value.grad = torch.ones_like(value)
        optimizer.clip()  # takes the gradients over
        with Operators() as found:
            optimizer.clip()
            optimizer.step(1e-3)
        counts.append(found.names.total())
    print(counts)
    assert counts[0] == counts[1] < 20


def test_dropout_costs_a_mask_per_group():
    fused, plain = (block_cost(fused=each, dropout=0.05) for each in (True, False))
    print(f"fused {dict(fused)}, PEFT {dict(plain)}")
    assert fused["bytes"] < 0.5 * plain["bytes"]


@pytest.fixture
def nf4():
    """A model of 4-bit layers with adapters."""
    from bitsandbytes.nn import Linear4bit

    from yoyak.engine.models.load import forbid_cpu_repacking

    model = build(layers=1, dtype=torch.bfloat16)
    for module in list(model.modules()):
        base = getattr(module, "base_layer", None)
        if base is not None:
            packed = Linear4bit(
                base.in_features, base.out_features, bias=False, compute_dtype=torch.bfloat16
            )
            packed.load_state_dict(base.state_dict())
            module.base_layer = packed.to("cpu")
            module.base_layer.weight.requires_grad_(False)
    forbid_cpu_repacking(model)
    return model


def test_each_4_bit_matrix_is_unpacked_once_forward_and_once_backward(nf4, monkeypatch):
    import bitsandbytes.functional as functional

    unpacked = Counter()
    real = functional.dequantize_4bit

    def noted(packed, *given, **further):
        unpacked[packed.data_ptr()] += 1
        return real(packed, *given, **further)

    monkeypatch.setattr(functional, "dequantize_4bit", noted)
    with patched(nf4, fused=True), torch.autocast("cpu", dtype=torch.bfloat16):
        with Operators() as forward:
            hidden = nf4.get_base_model().model(input_ids=tokens(), use_cache=False)[0]
        assert not unpacked  # the product of the forward pass is bitsandbytes' own operator
        assert forward.names["gemm_4bit"] == 7
        hidden.float().square().mean().backward()
    # The input of the first block needs no gradient, so its q, k and v are not unpacked again.
    assert sorted(unpacked.values()) == [1] * 4


def test_4_bit_gradients_are_those_of_peft(nf4):
    fused, plain = (backward(nf4, fused=each, amp=True) for each in (True, False))
    assert apart(fused, plain) < 0.1


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_preflight_compares_the_gradient_before_the_first_step(family, bench):
    (line,) = lines(bench(family)).values()
    assert (line.name, line.passed) == ("kernels-equal-torch", True)


def test_preflight_sees_a_wrong_gradient(bench, monkeypatch):
    real = fused_lora._rotate

    def wrong(both, cos, sin, sign):
        return real(both, cos, sin, 1)

    monkeypatch.setattr(fused_lora, "_rotate", wrong)
    for kernels, packed_passes in (("auto", True), ("fused", False)):
        found = lines(bench("qwen3"), kernels=kernels, packing="on")
        assert not found["kernels-equal-torch"].passed
        assert found["packed-equals-padded"].passed is packed_passes, "auto goes on without them"
        refused = kernels_refused(found.values(), TrainSettings(kernels=kernels))
        assert refused is (kernels == "auto")


def test_packed_rows_go_through_fused_blocks(bench):
    found = lines(bench("qwen3"), packing="on")
    assert {name: line.passed for name, line in found.items()} == {
        "kernels-equal-torch": True,
        "packed-equals-padded": True,
    }


def test_a_pass_that_fails_leaves_the_model_as_it_was():
    model = build()
    before = {name: vars(part).get("forward") for name, part in model.named_modules()}
    with contextlib.suppress(RuntimeError), patched(model, fused=True):
        raise RuntimeError("a pass that fails")
    assert {name: vars(part).get("forward") for name, part in model.named_modules()} == before


def test_a_model_without_adapters_is_left_alone_unless_fusing_was_asked_for(toy):
    made = toy("bart")
    bundle = ModelBundle(made.model, made.tokenizer, "seq2seq", made.device)
    assert KernelPatches(bundle, KernelOptions.of(TrainSettings())).empty
    with pytest.raises(Unavailable, match=r"train\.kernels=torch"):
        refuse_unsupported_kernels(
            bundle, TrainSettings(kernels="fused"), Precision(torch.float32, None)
        )


@pytest.mark.parametrize(("family", "empty"), [("qwen3", False), ("phi3", True)])
def test_without_being_asked_only_known_blocks_are_fused(family, empty):
    options = KernelOptions.of(TrainSettings())
    assert KernelPatches(bundle_of(build(family)), options).empty is empty
    asked = KernelOptions.of(TrainSettings(kernels="fused"))
    assert not KernelPatches(bundle_of(build(family)), asked).empty


def generating(model, *, fused):
    """A bundle of a model that is about to generate."""
    tokenizer = SimpleNamespace(pad_id=0, stop_ids=(1,), vocab_size=256)
    return ModelBundle(model.eval(), tokenizer, "causal", torch.device("cpu"), fuses_lora=fused)


def prompts(count=4):
    """Rows of different lengths."""
    ids = tokens(rows=1, length=40)[0].tolist()
    return [EncodedRow(str(row), tuple(ids[row : 2 * row + 9]), (), False) for row in range(count)]


@pytest.mark.parametrize("decode", [Greedy(), BeamSearch(num_beams=3)], ids=["greedy", "beams"])
@pytest.mark.parametrize("family", BLOCKS)
def test_generation_with_fused_blocks_writes_what_peft_s_layers_write(family, decode):
    model = build(family)
    fused, plain = (
        decoded(DecodeJob(generating(model, fused=each), decode, 12, ()), prompts())
        for each in (True, False)
    )
    assert fused == plain
    assert len({tuple(ids) for ids in plain}) > 1, "rows are told apart"


def test_a_trained_step_changes_what_fused_blocks_generate():
    model = build()
    bundle = generating(model, fused=True)
    before = next_token_scores(bundle, prompts(), 1).scores(None)
    with torch.no_grad():
        for value in trainable_parameters(model).values():
            value.mul_(1.5)
    after, plain = (
        next_token_scores(generating(model, fused=each), prompts(), 1).scores(None)
        for each in (True, False)
    )
    assert torch.allclose(after, plain, atol=1e-5)
    assert not torch.allclose(before, plain, atol=1e-3)


def step_operators(layers, *, fused):
    """What one new token of four rows dispatches, in the dtypes of a GPU."""
    model = build(layers=layers, dtype=torch.bfloat16)
    with torch.no_grad():
        head = next_token_scores(generating(model, fused=fused), prompts(), 4)
        if fused:
            head._kernels = DecodeKernels(head._bundle._replace(device=torch.device("cuda")))
        head.scores(None)
        with Operators() as found:
            head.scores(torch.arange(4) + 5)
    return found.names.total()


def test_a_new_token_dispatches_half_of_pefts_operators_in_each_block():
    fused, plain = (
        step_operators(3, fused=each) - step_operators(2, fused=each) for each in (True, False)
    )
    print(f"fused {fused}, PEFT {plain}")
    assert fused <= 0.55 * plain


def test_preflight_compares_what_fused_blocks_generate(bench, monkeypatch):
    made = bench("qwen3")
    assert "fused-generation-equals-torch" not in lines(made)
    made.bundle = made.bundle._replace(fuses_lora=True)
    assert lines(made)["fused-generation-equals-torch"].passed
    real = fused_lora._rotate
    monkeypatch.setattr(fused_lora, "_rotate", lambda *given: real(*given[:3], -1))
    assert not lines(made)["fused-generation-equals-torch"].passed
