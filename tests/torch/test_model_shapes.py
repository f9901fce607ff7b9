"""Counting from a configuration gives what transformers counts, architecture by architecture."""

import pytest

from support.hub import base_files, write_base
from yoyak.config import load
from yoyak.engine import model_classes
from yoyak.engine.base_facts import require_base
from yoyak.planning.model_shapes import shape_of, shape_of_config

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

KINDS = {"seq2seq": "seq2seq", "qlora": "causal"}
LLAMA = {
    "hidden_size": 48, "intermediate_size": 112, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 96, "max_position_embeddings": 64,
}  # fmt: skip
HEADS = LLAMA | {"head_dim": 16}
BART = {
    "d_model": 48, "encoder_layers": 2, "decoder_layers": 3, "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 96, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
    "vocab_size": 96, "max_position_embeddings": 40,
}  # fmt: skip
T5 = {
    "d_model": 48, "d_kv": 8, "d_ff": 96, "num_layers": 2, "num_decoder_layers": 3, "num_heads": 4,
    "vocab_size": 96,
}  # fmt: skip
BERT = {
    "model_type": "bert", "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2,
    "num_attention_heads": 4, "vocab_size": 96, "max_position_embeddings": 40,
}  # fmt: skip
SIGLIP = {
    "model_type": "siglip_vision_model", "hidden_size": 32, "intermediate_size": 64,
    "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 4, "image_size": 16,
    "vision_use_head": False,
}  # fmt: skip
DELTA = {
    "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8,
    "linear_value_head_dim": 12, "linear_conv_kernel_dim": 4,
}  # fmt: skip
CAUSAL = {
    "llama": LLAMA, "mistral": LLAMA, "gemma": HEADS, "gemma2": HEADS, "gemma3_text": HEADS,
    "qwen2": LLAMA, "qwen3": HEADS, "qwen3_5_text": HEADS | DELTA | {"num_hidden_layers": 8},
    "exaone4": LLAMA, "phi3": LLAMA | {"pad_token_id": 0}, "smollm3": LLAMA | {"pad_token_id": 0},
    "hyperclovax": LLAMA, "olmo2": LLAMA, "cohere": LLAMA, "cohere2": LLAMA, "granite": LLAMA,
    "arcee": LLAMA, "nemotron": LLAMA, "starcoder2": LLAMA, "phi": LLAMA, "stablelm": LLAMA,
    "gpt_neox": {name: LLAMA[name] for name in LLAMA if name != "num_key_value_heads"},
    "seed_oss": HEADS, "ministral": HEADS,
    "gpt2": {"n_embd": 48, "n_layer": 3, "n_head": 4, "vocab_size": 96, "n_positions": 40},
}  # fmt: skip
VARIANTS = [
    ("llama", HEADS | {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}),
    ("gemma3", {"text_config": HEADS | {"model_type": "gemma3_text"}, "vision_config": SIGLIP}),
    ("hyperclovax", LLAMA | {"use_post_norm": False}),
    *((name, sizes) for name, sizes in CAUSAL.items()),
]
SEQ2SEQ = [
    *((name, BART) for name in ("bart", "mbart", "pegasus", "blenderbot", "blenderbot-small")),
    ("marian", BART | {"pad_token_id": 0}),
    ("plbart", BART),
    ("t5", T5),
    ("t5", T5 | {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
    ("mt5", T5 | {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
    ("umt5", T5 | {"feed_forward_proj": "gated-gelu"}),
    ("longt5", T5),
    ("longt5", T5 | {"encoder_attention_type": "transient-global"}),
    (
        "encoder-decoder",
        {"encoder": BERT, "decoder": BERT | {"is_decoder": True, "add_cross_attention": True}},
    ),
]


def on_meta(model_type, sizes, auto):
    config = transformers.AutoConfig.for_model(model_type, **sizes)
    with torch.device("meta"):
        return auto.from_config(config)


def inspected(folder, model_type, sizes, name):
    """The facts of a base folder whose configuration transformers wrote itself."""
    files = base_files()
    del files["config.json"]
    transformers.AutoConfig.for_model(model_type, **sizes).save_pretrained(
        write_base(folder, files)
    )
    return require_base(load.resolve(name, sets=[f"model.base={folder}"]).recipe)


def counted(model):
    return sum(each.numel() for each in model.parameters())


@pytest.mark.parametrize(("model_type", "sizes"), VARIANTS)
def test_a_causal_model_is_counted_as_transformers_counts_it(tmp_path, model_type, sizes):
    model = on_meta(model_type, sizes, transformers.AutoModelForCausalLM)
    config = model_classes.with_defaults({"model_type": model_type, **sizes})
    shape = shape_of_config(config)
    assert shape.parameters == counted(model)
    facts = inspected(tmp_path, model_type, sizes, "qwen3-4b")
    assert shape_of_config(facts.config).parameters == shape.parameters
    if model_type == "gemma3":
        return  # the image encoder is no part of what is adapted
    conv = transformers.pytorch_utils.Conv1D
    linears = [
        each
        for name, each in model.named_modules()
        if isinstance(each, torch.nn.Linear | conv) and name not in {"lm_head", "embed_out"}
    ]
    assert shape.linear_parameters == sum(each.weight.numel() for each in linears)


@pytest.mark.parametrize(("model_type", "sizes"), SEQ2SEQ)
def test_an_encoder_decoder_is_counted_as_transformers_counts_it(tmp_path, model_type, sizes):
    model = on_meta(model_type, sizes, transformers.AutoModelForSeq2SeqLM)
    config = model_classes.with_defaults({"model_type": model_type, **sizes})
    # T5 1.1's own head is tied when a model is built from its configuration, but not when the
    # checkpoint that is loaded has another matrix there (transformers' tie_weights).
    head = 0 if sizes.get("tie_word_embeddings", True) else 96 * 48
    assert shape_of_config(config).parameters == counted(model) + head
    facts = inspected(tmp_path, model_type, sizes, "kobart")
    assert shape_of_config(facts.config).parameters in {counted(model), counted(model) + head}


PUBLISHED = [name for name in load.names() if load.resolve(name).recipe.base.config is not None]


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_a_recipe_states_of_its_base_is_what_transformers_builds(name):
    recipe = load.resolve(name).recipe
    config = dict(recipe.base.config)
    auto = (
        transformers.AutoModelForSeq2SeqLM
        if recipe.engine == "seq2seq"
        else transformers.AutoModelForCausalLM
    )
    untied = config["model_type"] == "t5" and not config["tie_word_embeddings"]
    head = config["vocab_size"] * config["d_model"] if untied else 0
    model = on_meta(config.pop("model_type"), config, auto)
    assert shape_of(recipe).parameters == counted(model) + head
    assert recipe.base.parameters in {None, counted(model) + head}
    assert model_classes.class_name(recipe.base.config["model_type"], KINDS[recipe.engine])
