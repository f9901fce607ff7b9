"""Sizes of models and the parameter counts that follow from them, out of a ``config.json``.

Counts are exact for every architecture that is listed here (``tests/torch/test_model_shapes.py``
holds them to transformers' own count); a dense model of another type is counted as a LLaMA, which
differs from most by norms and biases only. What states too little has no shape: it is not guessed.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from yoyak.config.schema import Recipe, ScratchSettings
from yoyak.engine.base_facts import BaseFacts, inspect_base
from yoyak.values import Value

DEFAULT_TOKENS_PER_CHARACTER = 0.6

Config = Mapping[str, Any]


class Linear(NamedTuple):
    """Equal linear layers: what 4-bit loading quantises and LoRA adapts."""

    inputs: int
    outputs: int
    number: int


class ModelShape(Value, frozen=True, kw_only=True):
    """The sizes of a model; ``layers`` are those of the decoder, or of the only stack."""

    family: str
    """``model_type``."""
    layers: int
    encoder_layers: int = 0
    """0 for a causal model."""
    width: int
    heads: int
    kv_heads: int
    head_width: int
    mlp_width: int
    vocabulary: int
    tied: bool
    linears: tuple[Linear, ...]
    """All linear layers but the head."""
    others: int
    """Norms, biases, tables of positions: every parameter that is neither linear nor embedding."""
    block_norms: int = 2
    query_key_norms: bool = False
    gated: bool = True
    """Whether the MLP has a gate beside its up projection."""
    fused: bool = False
    """Whether queries, keys and values are one matrix, and gate and up."""
    keeps_scores: bool = False
    """Attention that no fused kernel computes keeps its scores for the backward pass: T5's learned
    bias, Gemma 2's softcapping."""
    bytes_per_weight: int = 2
    """As published."""
    positions: int = 0
    """Rows of a learned table of positions."""
    tokens_per_character: float = DEFAULT_TOKENS_PER_CHARACTER

    @property
    def query_width(self) -> int:
        """Width of all query heads together."""
        return self.heads * self.head_width

    @property
    def key_width(self) -> int:
        """Width of all key heads together; values are as wide."""
        return self.kv_heads * self.head_width

    @property
    def linear_parameters(self) -> int:
        """Weights of all linear layers but the head."""
        return sum(each.inputs * each.outputs * each.number for each in self.linears)

    @property
    def embedding_parameters(self) -> int:
        """Input embeddings, and the head where it is a matrix of its own."""
        return self.vocabulary * self.width * (1 if self.tied else 2)

    @property
    def parameters(self) -> int:
        """Every weight and bias, as transformers counts them."""
        return self.linear_parameters + self.embedding_parameters + self.others

    @property
    def largest_linear(self) -> int:
        """Weights of the largest linear layer."""
        return max(each.inputs * each.outputs for each in self.linears)

    def lora_parameters(self, rank: int) -> int:
        """Return the size of rank-``rank`` adapters on every linear layer but the head."""
        return sum(rank * (each.inputs + each.outputs) * each.number for each in self.linears)

    @property
    def linear_outputs(self) -> int:
        """Rows of all linear layers but the head: DoRA trains a magnitude for each."""
        return sum(each.outputs * each.number for each in self.linears)


class KnownModel(NamedTuple):
    """A recipe with what is known of its model, before anything of it is loaded."""

    recipe: Recipe
    facts: BaseFacts | None
    """``None`` for a recipe without a base."""
    shape: ModelShape | None

    @property
    def base_bytes(self) -> float:
        """Size of the base on the hub, as listed there or by its parameters."""
        if self.facts is not None and self.facts.download_bytes:
            return float(self.facts.download_bytes)
        return (
            0.0
            if self.shape is None
            else float(self.shape.bytes_per_weight * self.shape.parameters)
        )

    @property
    def download_bytes(self) -> float:
        """What is still to be downloaded: nothing if a folder or the cache holds the base."""
        return 0.0 if self.facts is None or self.facts.folder is not None else self.base_bytes


def look_up(recipes: Iterable[Recipe]) -> tuple[KnownModel, ...]:
    """Return what is known of each recipe's model; each base is inspected once."""
    inspected: dict[Any, BaseFacts | None] = {}
    found = []
    for recipe in recipes:
        key = (recipe.engine, recipe.model)
        if key not in inspected:
            inspected[key] = inspect_base(recipe)
        facts = inspected[key]
        shape = shape_of(recipe, None if facts is None else facts.config)
        found.append(KnownModel(recipe, facts, shape))
    return tuple(found)


def shape_of(recipe: Recipe, config: Config | None = None) -> ModelShape | None:
    """Return the shape of a recipe's model, by default from what its base's publisher states.

    ``None`` if there is no model or nothing states it.
    """
    if recipe.model.scratch is not None:
        config = _scratch_config(recipe.model.scratch, recipe.prompt.max_source_tokens)
    config = config or recipe.base.config
    ratio = recipe.base.tokens_per_character or DEFAULT_TOKENS_PER_CHARACTER
    return None if config is None else shape_of_config(config, ratio)


def shape_of_config(
    config: Config, tokens_per_character: float = DEFAULT_TOKENS_PER_CHARACTER
) -> ModelShape | None:
    """Return the shape that a ``config.json`` states; ``None`` if it states too little."""
    family = config.get("model_type")
    build = _BUILDERS.get(str(family), _causal)
    try:
        shape = build(config)
    except (KeyError, TypeError, ZeroDivisionError, AttributeError):
        return None
    dtype = str(config.get("dtype") or config.get("torch_dtype") or "float32")
    return msgspec.structs.replace(
        shape,
        bytes_per_weight=4 if dtype == "float32" else 2,
        tokens_per_character=tokens_per_character,
    )


# --- causal models -------------------------------------------------------------------------------


class _Block(NamedTuple):
    """How a causal family's block differs from a LLaMA's."""

    gated: bool = True
    fused: bool = False
    """Queries, keys and values are one matrix; gate and up are one."""
    norms: int = 2
    norm_vectors: int = 1
    """2 where a norm has a bias."""
    query_key_norms: int = 0
    """1: over a head, 2: over all heads."""
    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    head_bias: bool = False
    keeps_scores: bool = False


_BLOCKS: Mapping[str, _Block] = {
    "qwen2": _Block(qkv_bias=True),
    "qwen3": _Block(query_key_norms=1),
    "gemma2": _Block(norms=4, keeps_scores=True),
    "gemma3_text": _Block(norms=4, query_key_norms=1),
    "exaone4": _Block(query_key_norms=1),
    "phi3": _Block(fused=True),
    "olmo2": _Block(query_key_norms=2),
    "cohere": _Block(norms=1),
    "cohere2": _Block(norms=1),
    "arcee": _Block(gated=False),
    "nemotron": _Block(gated=False, norm_vectors=2),
    "starcoder2": _Block(
        gated=False, norm_vectors=2, qkv_bias=True, output_bias=True, mlp_bias=True
    ),
    "phi": _Block(
        gated=False, norms=1, norm_vectors=2, qkv_bias=True, output_bias=True, mlp_bias=True,
        head_bias=True,
    ),
    "stablelm": _Block(norm_vectors=2),
    "gpt2": _Block(
        gated=False, fused=True, norm_vectors=2, qkv_bias=True, output_bias=True, mlp_bias=True
    ),
    "gpt_neox": _Block(
        gated=False, fused=True, norm_vectors=2, qkv_bias=True, output_bias=True, mlp_bias=True
    ),
}  # fmt: skip


def _causal(config: Config) -> ModelShape:
    """Count a decoder of equal blocks, or the text part of a model that also sees."""
    text: Config = config.get("text_config") or config
    family = str(text["model_type"])
    block = _BLOCKS.get(family, _Block())
    width = _first(text, "hidden_size", "n_embd")
    layers = _first(text, "num_hidden_layers", "n_layer")
    heads = _first(text, "num_attention_heads", "n_head")
    mlp = text.get("intermediate_size") or text.get("n_inner") or 4 * width
    kv_heads = text.get("num_key_value_heads") or heads
    head = text.get("head_dim") or width // heads
    sizes = _Sizes(width, heads * head, kv_heads * head, mlp)
    positions = text.get("n_positions", 0) if family == "gpt2" else 0
    tied = bool(text.get("tie_word_embeddings", config.get("tie_word_embeddings", False)))
    others = layers * _small(text, block, sizes, head)
    others += width * (block.norm_vectors + positions)
    others += text["vocab_size"] if block.head_bias else 0
    linears = (*_attention(block, sizes, layers), *_mlp(block, sizes, layers))
    if "linear_num_value_heads" in text:
        linears, others = _qwen35(text, sizes, head)
    return ModelShape(
        family=family, layers=layers, width=width, heads=heads, kv_heads=kv_heads,
        head_width=head, mlp_width=mlp, vocabulary=text["vocab_size"], tied=tied,
        linears=linears, others=others + _vision_parameters(config),
        block_norms=block.norms, query_key_norms=bool(block.query_key_norms), gated=block.gated,
        fused=block.fused, keeps_scores=block.keeps_scores, positions=positions,
    )  # fmt: skip


class _Sizes(NamedTuple):
    width: int
    query: int
    key: int
    mlp: int


def _attention(block: _Block, sizes: _Sizes, layers: int) -> Iterator[Linear]:
    width, query, key, _ = sizes
    yield Linear(width, query + 2 * key if block.fused else query, layers)
    if not block.fused:
        yield Linear(width, key, 2 * layers)
    yield Linear(query, width, layers)


def _mlp(block: _Block, sizes: _Sizes, layers: int) -> Iterator[Linear]:
    width, mlp = sizes.width, sizes.mlp
    if block.gated and block.fused:
        yield Linear(width, 2 * mlp, layers)
    else:
        yield Linear(width, mlp, (2 if block.gated else 1) * layers)
    yield Linear(mlp, width, layers)


def _small(text: Config, block: _Block, sizes: _Sizes, head: int) -> int:
    """Return the norms and biases of one block."""
    width, query, key, mlp = sizes
    found = block.norms * block.norm_vectors * width
    found += (0, 2 * head, query + key)[block.query_key_norms]
    if text.get("use_post_norm"):  # HyperCLOVA X: one more norm after each half
        found += 2 * width
    bias = text.get("attention_bias") or text.get("use_bias")
    if block.qkv_bias or bias or text.get("use_qkv_bias"):
        found += query + 2 * key
    if (block.output_bias and text.get("use_bias", True)) or (
        bias and text.get("attention_out_bias", True)
    ):
        found += width
    if block.mlp_bias or text.get("mlp_bias") or text.get("use_bias"):
        found += (2 if block.gated else 1) * mlp + width
    return found


def _qwen35(text: Config, sizes: _Sizes, head: int) -> tuple[tuple[Linear, ...], int]:
    """Return linear layers and other parameters of Qwen3.5.

    Three of four layers have linear attention (a gated delta net); in the others, queries bring a
    gate of their own.
    """
    width, query, key, _ = sizes
    layers = text["num_hidden_layers"]
    named = text.get("layer_types")
    every = text.get("full_attention_interval") or 4
    full = named.count("full_attention") if isinstance(named, list) else layers // every
    linear = layers - full
    keys = text["linear_num_key_heads"] * text["linear_key_head_dim"]
    heads, value_head = text["linear_num_value_heads"], text["linear_value_head_dim"]
    values = heads * value_head
    linears = (
        Linear(width, 2 * query, full),
        Linear(width, key, 2 * full),
        Linear(query, width, full),
        Linear(width, 2 * keys + values, linear),
        Linear(width, values, linear),
        Linear(width, heads, 2 * linear),
        Linear(values, width, linear),
        *_mlp(_Block(), sizes, layers),
    )
    # Of each delta net: its convolution, decay and time step of each head, and norm.
    net = (2 * keys + values) * text["linear_conv_kernel_dim"] + 2 * heads + value_head
    return linears, (2 * layers + 1) * width + full * 2 * head + linear * net


def _vision_parameters(config: Config) -> int:
    """Return the image encoder (SigLIP) and projection that Gemma 3 from 4B up loads along."""
    vision = config.get("vision_config")
    if config.get("model_type") != "gemma3" or not isinstance(vision, Mapping):
        return 0
    width, mlp, patch = vision["hidden_size"], vision["intermediate_size"], vision["patch_size"]
    patches = (vision["image_size"] // patch) ** 2
    block = 4 * (width * width + width) + 2 * width * mlp + mlp + width + 4 * width
    embeddings = 3 * patch * patch * width + width + patches * width
    projection = width * config["text_config"]["hidden_size"] + width
    return int(vision["num_hidden_layers"] * block + embeddings + 2 * width + projection)


# --- encoder-decoders ----------------------------------------------------------------------------


class _Bart(NamedTuple):
    """How a family of BART's build differs from it."""

    embedding_norms: bool = True
    final_norms: bool = False
    offset: int = 2
    """Positions begin so many places late (fairseq's padding offset)."""


_BARTS: Mapping[str, _Bart] = {
    "bart": _Bart(),
    "mbart": _Bart(final_norms=True),
    "plbart": _Bart(),
    "pegasus": _Bart(embedding_norms=False, final_norms=True, offset=0),
    "blenderbot": _Bart(embedding_norms=False, final_norms=True, offset=0),
    "blenderbot-small": _Bart(offset=0),
    "marian": _Bart(embedding_norms=False, offset=0),
}


def _bart(config: Config) -> ModelShape:
    kind, width = _BARTS[config["model_type"]], config["d_model"]
    layers = (config["encoder_layers"], config["decoder_layers"])
    mlps = (config["encoder_ffn_dim"], config["decoder_ffn_dim"])
    attentions = 4 * (layers[0] + 2 * layers[1])
    linears = [Linear(width, width, attentions)]
    # Biases of attention, two norms with biases, one more of each for cross-attention.
    others = layers[0] * 8 * width + layers[1] * 14 * width
    for stack, mlp in zip(layers, mlps, strict=True):
        linears += [Linear(width, mlp, stack), Linear(mlp, width, stack)]
        others += stack * (mlp + width)
    positions = config["max_position_embeddings"] + kind.offset
    norms = 2 * (kind.embedding_norms + kind.final_norms)
    others += 2 * positions * width + norms * 2 * width
    heads = config["decoder_attention_heads"]
    return ModelShape(
        family=config["model_type"], layers=layers[1], encoder_layers=layers[0], width=width,
        heads=heads, kv_heads=heads, head_width=width // heads, mlp_width=max(mlps),
        vocabulary=config["vocab_size"], tied=config.get("tie_word_embeddings", True),
        linears=tuple(linears), others=others, gated=False, positions=positions,
    )  # fmt: skip


def _t5(config: Config) -> ModelShape:
    width, mlp, heads = config["d_model"], config["d_ff"], config["num_heads"]
    inner = heads * config["d_kv"]
    layers = config.get("num_decoder_layers") or config["num_layers"]
    encoder = config["num_layers"]
    attentions = encoder + 2 * layers
    gated = str(config.get("feed_forward_proj", "relu")).startswith("gated")
    linears = (
        Linear(width, inner, 3 * attentions),
        Linear(inner, width, attentions),
        Linear(width, mlp, (2 if gated else 1) * (encoder + layers)),
        Linear(mlp, width, encoder + layers),
    )
    # One table of relative positions a stack; UMT5 has one a layer.
    tables = (encoder + layers) if config["model_type"] == "umt5" else 2
    others = (2 * encoder + 3 * layers + 2) * width
    if config.get("encoder_attention_type") == "transient-global":  # LongT5
        tables += 1
        others += encoder * width
    others += tables * config["relative_attention_num_buckets"] * heads
    return ModelShape(
        family=config["model_type"], layers=layers, encoder_layers=encoder, width=width,
        heads=heads, kv_heads=heads, head_width=config["d_kv"], mlp_width=mlp,
        vocabulary=config["vocab_size"], tied=config.get("tie_word_embeddings", True),
        linears=linears, others=others, gated=gated, keeps_scores=True,
    )  # fmt: skip


def _encoder_decoder(config: Config) -> ModelShape:
    """Count two BERTs, the second with cross-attention and a head."""
    encoder, decoder = config["encoder"], config["decoder"]
    if (encoder["model_type"], decoder["model_type"]) != ("bert", "bert"):
        raise KeyError("only BERT is counted")
    linears: list[Linear] = []
    others = 0
    for bert, attentions in ((encoder, 1), (decoder, 2)):
        width, mlp, layers = (
            bert["hidden_size"],
            bert["intermediate_size"],
            bert["num_hidden_layers"],
        )
        linears += [Linear(width, width, 4 * attentions * layers)]
        linears += [Linear(width, mlp, layers), Linear(mlp, width, layers)]
        others += layers * (attentions * 6 * width + mlp + width + 2 * width)
        others += (bert["max_position_embeddings"] + bert["type_vocab_size"] + 2) * width
    width = decoder["hidden_size"]
    linears.append(Linear(width, width, 2))  # the encoder's pooler, the head's transform
    others += encoder["vocab_size"] * encoder["hidden_size"]
    others += encoder["hidden_size"] + 3 * width + decoder["vocab_size"]
    heads = decoder["num_attention_heads"]
    return ModelShape(
        family="encoder-decoder", layers=decoder["num_hidden_layers"],
        encoder_layers=encoder["num_hidden_layers"], width=width, heads=heads, kv_heads=heads,
        head_width=width // heads, mlp_width=decoder["intermediate_size"],
        vocabulary=decoder["vocab_size"], tied=decoder.get("tie_word_embeddings", True),
        linears=tuple(linears), others=others, gated=False,
        positions=decoder["max_position_embeddings"],
    )  # fmt: skip


_BUILDERS = {
    **dict.fromkeys(_BARTS, _bart),
    **dict.fromkeys(("t5", "mt5", "umt5", "longt5"), _t5),
    "encoder-decoder": _encoder_decoder,
}


# --- models from scratch -------------------------------------------------------------------------


def _scratch_config(scratch: ScratchSettings, positions: int) -> Config:
    """Return what the configuration of a model from scratch says."""
    width, heads = scratch.width, scratch.heads
    shared = {"model_type": scratch.architecture, "vocab_size": scratch.vocabulary}
    if scratch.architecture == "bart":
        stacks = {
            f"{stack}_{name}": value
            for stack in ("encoder", "decoder")
            for name, value in (
                ("layers", scratch.layers), ("ffn_dim", 4 * width), ("attention_heads", heads)
            )
        }  # fmt: skip
        return shared | stacks | {"d_model": width, "max_position_embeddings": positions - 2}
    return shared | {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": scratch.layers,
        "num_attention_heads": heads,
        "num_key_value_heads": max(1, heads // 2),
        "head_dim": width // heads,
        "tie_word_embeddings": True,
    }


def _first(config: Config, *names: str) -> int:
    """Return the first of those settings that is there."""
    found = [name for name in names if config.get(name) is not None]
    return int(config[(found or names)[0]])
