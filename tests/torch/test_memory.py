"""The planner's formulas for activations, against every byte that autograd really keeps."""

import pytest

from yoyak.config.schema import LoraSettings, Recipe, Recompute, TrainSettings
from yoyak.planning.memory_estimate import MASK_BYTES_CPU, ForwardPass, kept_bytes, layer_bytes
from yoyak.planning.model_shapes import ModelShape

pytestmark = pytest.mark.torch

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from yoyak.engine.models.model import ModelBundle  # noqa: E402
from yoyak.engine.training.optimizer import ModelOptimizer  # noqa: E402

ROWS, TOKENS, ANSWER = 4, 256, 64


def shape(family, layers, **changes):
    sizes = {"width": 96, "heads": 4, "kv_heads": 2, "head_width": 32, "mlp_width": 224} | changes
    return ModelShape(
        family=family, layers=layers, vocabulary=64, tied=True, tokens_per_character=0.6, **sizes
    )


def saved_bytes(model, forward):
    """Bytes of all storages that are saved for the backward pass, parameters left out."""
    own = {each.untyped_storage().data_ptr() for each in (*model.parameters(), *model.buffers())}
    saved = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = (storage.nbytes(), tensor)  # held, or its address is reused
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        forward()
    return sum(size for size, _ in saved.values())


def causal_bytes(family, layers, dropout, level=Recompute.NOTHING, **changes):
    import peft

    one = shape(family, layers, **changes)
    config = {"llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3"}[family]
    sizes = {
        "hidden_size": one.width, "intermediate_size": one.mlp_width,
        "num_hidden_layers": layers, "num_attention_heads": one.heads,
        "num_key_value_heads": one.kv_heads, "vocab_size": one.vocabulary,
    }  # fmt: skip
    if family != "qwen2":
        sizes["head_dim"] = one.head_width
    built = getattr(transformers, f"{config}ForCausalLM")(
        getattr(transformers, f"{config}Config")(**sizes)
    ).to(torch.bfloat16)
    adapters = peft.LoraConfig(r=1, lora_dropout=dropout, target_modules="all-linear")
    model = peft.get_peft_model(built, adapters).train()
    ModelOptimizer(
        ModelBundle(model, None, "causal", torch.device("cpu")), TrainSettings()
    ).set_activation_checkpointing(level)
    ids = torch.randint(0, 64, (ROWS, TOKENS))

    def forward():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            model.base_model.model.model(input_ids=ids, use_cache=False)

    return saved_bytes(model, forward)


@pytest.mark.parametrize("dropout", [0.0, 0.05])
@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("llama", {}),
        ("llama", {"width": 64, "mlp_width": 320}),
        ("qwen2", {"head_width": 24}),
        ("qwen3", {}),
        ("qwen3", {"heads": 8, "kv_heads": 4}),
    ],
)
def test_a_causal_block_keeps_what_the_planner_says(family, changes, dropout):
    two, three = (causal_bytes(family, layers, dropout, **changes) for layers in (2, 3))
    recipe = Recipe(name="r", engine="qlora", lora=LoraSettings(r=1, lora_dropout=dropout))
    load = ForwardPass(ROWS * TOKENS, 0, recompute=Recompute.NOTHING, mask_bytes=MASK_BYTES_CPU)
    # Within 2 %: adapters of rank 1 and the scale of every norm are not counted.
    assert layer_bytes(shape(family, 3, **changes), recipe, load) == pytest.approx(
        three - two, rel=0.02
    )


@pytest.mark.parametrize("level", list(Recompute))
def test_two_further_blocks_keep_what_the_planner_says_also_when_recomputed(level):
    two, four = (causal_bytes("qwen3", layers, 0.0, level) for layers in (2, 4))
    recipe = Recipe(name="r", engine="qlora", lora=LoraSettings(r=1, lora_dropout=0.0))
    load = ForwardPass(ROWS * TOKENS, 0, level, MASK_BYTES_CPU)
    planned = [kept_bytes(shape("qwen3", layers), recipe, load) for layers in (2, 4)]
    block, given = layer_bytes(shape("qwen3", 4), recipe, load), 2 * 96 * ROWS * TOKENS
    assert planned[1] - planned[0] == pytest.approx(four - two, abs=0.04 * block)
    whole = {"off": 2, "selective": 1, "on": 0}[level]
    assert planned[1] - planned[0] == pytest.approx(whole * block + (2 - whole) * given)


def bart_bytes(layers, width, mlp_width):
    config = transformers.BartConfig(
        vocab_size=64, d_model=width, encoder_layers=layers, decoder_layers=layers,
        encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=mlp_width,
        decoder_ffn_dim=mlp_width, max_position_embeddings=TOKENS, dropout=0.1,
    )  # fmt: skip
    model = transformers.BartForConditionalGeneration(config).train()
    sources = torch.randint(3, 64, (ROWS, TOKENS))
    answers = torch.randint(3, 64, (ROWS, ANSWER))
    return saved_bytes(
        model,
        lambda: model.model(input_ids=sources, decoder_input_ids=answers, use_cache=False),
    )


@pytest.mark.parametrize(("width", "mlp_width"), [(64, 256), (96, 200)])
def test_a_pair_of_bart_blocks_keeps_what_the_planner_says(width, mlp_width):
    blocks = bart_bytes(3, width, mlp_width) - bart_bytes(2, width, mlp_width)
    one = shape("bart", 3, width=width, mlp_width=mlp_width, kv_heads=4, head_width=width // 4)
    load = ForwardPass(ROWS * TOKENS, ROWS * ANSWER, Recompute.NOTHING, MASK_BYTES_CPU)
    assert layer_bytes(one, Recipe(name="r", engine="seq2seq"), load) == pytest.approx(
        blocks, rel=0.02
    )
