"""How much graphics memory and disk a recipe takes, by counting bytes.

The activations per token were measured, byte for byte, with saved-tensor hooks on models of every
family (transformers, PEFT with float32 adapters, bfloat16 autocast): tests/torch/test_memory.py
repeats the measurement and holds these formulas to it.
"""

from typing import NamedTuple

from yoyak.config.schema import Recipe, Recompute
from yoyak.queue.shapes import NF4_BYTES, Shape
from yoyak.values import Value

GB = 1e9

PASS_TOKENS = 4_096
"""Padded tokens of one forward pass where the recipe names no limit (engine.loop)."""
GENERATION_TOKENS = 16_384
"""Rows × (source + new) tokens of one generation batch (engine.decode)."""

RESERVE_GB = 0.9
"""CUDA context, libraries and workspaces; an assumption, shown as such."""
FRAGMENTATION = 1.05
"""What the caching allocator holds above what is in use; an assumption, shown as such."""

MASK_BYTES_CUDA = 1
MASK_BYTES_CPU = 4
"""A dropped-out activation keeps a boolean on CUDA and a float32 factor on the CPU."""

HEAD_BYTES = 16
"""Per logit: bfloat16, float32, its log-softmax, and the gradients of the last two."""


class Load(NamedTuple):
    """What one forward pass of training holds."""

    tokens: int
    """Padded; of the source for an encoder-decoder."""
    answer_tokens: int
    """Supervised."""
    recompute: Recompute
    mask_bytes: int = MASK_BYTES_CUDA


class Memory(Value, frozen=True, kw_only=True):
    """Peak memory in GB, by what takes it."""

    weights_gb: float
    learned_gb: float
    """Adapters or weights that learn: value, gradient and Adam's two moments, float32."""
    activations_gb: float
    head_gb: float
    reserve_gb: float = RESERVE_GB

    @property
    def total_gb(self) -> float:
        """All of it, with what the allocator holds beside."""
        live = self.weights_gb + self.learned_gb + self.activations_gb + self.head_gb
        return live * FRAGMENTATION + self.reserve_gb


def trained_parameters(shape: Shape, recipe: Recipe) -> int:
    """How many numbers learn."""
    return shape.parameters if recipe.lora is None else shape.lora_parameters(recipe.lora.r)


def weight_bytes(shape: Shape, recipe: Recipe) -> float:
    """Of the frozen base on the card; 0 where everything learns."""
    if recipe.lora is None:
        return 0.0
    if recipe.model.quantisation is None:
        return 2.0 * shape.parameters
    return NF4_BYTES * shape.linear_parameters + 2.0 * (shape.parameters - shape.linear_parameters)


def training_memory(shape: Shape, recipe: Recipe, load: Load) -> Memory:
    """The peak of a training step."""
    return Memory(
        weights_gb=weight_bytes(shape, recipe) / GB,
        learned_gb=16 * trained_parameters(shape, recipe) / GB,
        activations_gb=(kept_bytes(shape, recipe, load) + _dequantised_bytes(shape, recipe)) / GB,
        head_gb=HEAD_BYTES * shape.vocabulary * load.answer_tokens / GB,
    )


def kept_bytes(shape: Shape, recipe: Recipe, load: Load) -> float:
    """What all blocks together keep for the backward pass.

    Of a block that is computed again only its input is kept; one such block at a time stands in
    memory in full.
    """
    block = layer_bytes(shape, recipe, load)
    again = {
        Recompute.NOTHING: 0,
        Recompute.ALTERNATE: -(-shape.layers // 2),
        Recompute.EVERYTHING: shape.layers,
    }[load.recompute]
    if not again:
        return shape.layers * block
    element = 4 if recipe.lora is None else 2
    return (shape.layers - again + 1) * block + again * element * shape.width * load.tokens


def layer_bytes(shape: Shape, recipe: Recipe, load: Load) -> float:
    """What one block keeps for the backward pass; for BART one of the encoder and one decoder."""
    if shape.family == "bart":
        return _bart_layer_bytes(shape, load)
    lora = recipe.lora
    mask = load.mask_bytes if lora is not None and lora.lora_dropout else 0
    per_token = (
        (18 + 5 * mask) * shape.width
        + (6 + mask) * shape.query_width
        + 4 * shape.key_width
        + (8 + mask) * shape.mlp_width
    )
    if shape.family == "qwen3":
        per_token += 4 * (shape.query_width + shape.key_width)
    return float(per_token * load.tokens)


def generation_memory(shape: Shape, recipe: Recipe) -> Memory:
    """The peak of generation: keys and values of a full batch beside the weights."""
    bytes_each = 4 if recipe.lora is None else 2
    sides = 2 if shape.family == "bart" else 1  # own and crossed attention
    cache = 2 * sides * shape.layers * shape.key_width * bytes_each * GENERATION_TOKENS
    merged = recipe.generate.weights == "merged"
    weights = 4.0 * shape.parameters if recipe.lora is None else weight_bytes(shape, recipe)
    adapters = 0 if recipe.lora is None else 4 * trained_parameters(shape, recipe)
    unpacked = 0.0 if merged else _dequantised_bytes(shape, recipe)
    return Memory(
        weights_gb=(2.0 * shape.parameters if merged else weights) / GB,
        learned_gb=adapters / GB,  # merging needs them, too
        activations_gb=(cache + unpacked) / GB,
        head_gb=0.0,
    )


# --- disk ----------------------------------------------------------------------------------------


def download_bytes(shape: Shape, recipe: Recipe) -> float:
    """Of a base from the hub: bfloat16 for the LLMs, float32 for koBART; nothing from scratch."""
    if recipe.model.base is None:
        return 0.0
    return (4.0 if shape.family == "bart" else 2.0) * shape.parameters


def checkpoint_bytes(shape: Shape, recipe: Recipe) -> float:
    """What learns and Adam's two moments, float32."""
    return 12.0 * trained_parameters(shape, recipe)


def final_bytes(shape: Shape, recipe: Recipe) -> float:
    """The finished adapter or model, float32."""
    return 4.0 * trained_parameters(shape, recipe)


def _bart_layer_bytes(shape: Shape, load: Load) -> float:
    # Of the float32 masks that were measured on the CPU, a card keeps a quarter: two dropouts in a
    # block of the encoder, three in one of the decoder.
    saved = MASK_BYTES_CPU - load.mask_bytes
    encoder = ((48 - 2 * saved) * shape.width + 8 * shape.mlp_width) * load.tokens
    decoder = ((60 - 3 * saved) * shape.width + 8 * shape.mlp_width) * load.answer_tokens
    return float(encoder + decoder)


def _dequantised_bytes(shape: Shape, recipe: Recipe) -> float:
    """The largest 4-bit matrix, unpacked to bfloat16 for its product."""
    if recipe.model.quantisation is None:
        return 0.0
    return 2.0 * max(each.inputs * each.outputs for each in shape.linears)
