"""GPU memory of training and generation, by counting bytes.

The activations per token were measured with saved-tensor hooks on models of every family
(transformers, PEFT with float32 adapters, bfloat16 autocast): tests/torch/test_memory.py repeats
the measurement and holds these formulas to it.
"""

from typing import NamedTuple

from yoyak.config.schema import Recipe, Recompute
from yoyak.planning.model_shapes import ModelShape
from yoyak.system.probe import GB
from yoyak.values import Value

NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
"""Per weight: 4 bits, an 8-bit scale per 64, a 32-bit one per 256 of those (Dettmers 2023)."""
HEAD_BYTES = 16
"""Per logit: bfloat16, float32, its log-softmax, and the gradients of the last two."""
RDROP_HEAD_BYTES = 12
"""What R-Drop keeps per logit besides: its own log-softmax, and the divergences' probabilities."""
DORA_BYTES = 4
"""What DoRA keeps besides per output of a linear layer: the base's and the adapters', bfloat16."""
DORA_MATRIX_BYTES = 12
"""Per weight of the matrix whose norm DoRA takes: B·A, its sum with the base, and a cast of it."""
MASK_BYTES_CUDA = 1
MASK_BYTES_CPU = 4
"""A dropped-out activation keeps a boolean on CUDA and a float32 factor on the CPU."""
GENERATION_TOKENS = 16_384
"""Rows × (source + new) tokens that generation needs room for; what is free beyond is used, too."""
GENERATION_SHARE = 0.85
"""Of the memory beside the weights that a batch may fill (engine.inference.batch_memory)."""
MAX_GENERATION_ROWS = 512
"""Of a batch (engine.inference.batch_memory)."""
RESERVE_GB = 0.9
"""CUDA context, libraries and workspaces; an assumption, shown as such."""
FRAGMENTATION = 1.05
"""What the caching allocator holds above what is in use; an assumption, shown as such."""


class ForwardPass(NamedTuple):
    """What one forward pass of training holds."""

    tokens: int
    """Padded; of the source for an encoder-decoder."""
    answer_tokens: int
    """Supervised."""
    recompute: Recompute
    mask_bytes: int = MASK_BYTES_CUDA
    row_tokens: int = 0
    """Of each padded row; only attention that keeps its scores asks."""


class MemoryEstimate(Value, frozen=True, kw_only=True):
    """Peak memory in GB (1e9 bytes), by what takes it."""

    weights_gb: float
    learned_gb: float
    """Trainable parameters: value, gradient, Adam's two moments, and their moving average; with
    metric-aware training the supervised values, too."""
    activations_gb: float
    head_gb: float = 0.0
    reserve_gb: float = RESERVE_GB

    @property
    def total_gb(self) -> float:
        """All of it, with the allocator's overhead."""
        live = self.weights_gb + self.learned_gb + self.activations_gb + self.head_gb
        return live * FRAGMENTATION + self.reserve_gb


def trainable_parameters(shape: ModelShape, recipe: Recipe) -> int:
    """Return how many parameters are trained."""
    if recipe.lora is None:
        return shape.parameters
    magnitudes = shape.linear_outputs if recipe.lora.use_dora else 0
    return shape.lora_parameters(recipe.lora.r) + magnitudes


def optimizer_bytes(recipe: Recipe) -> float:
    """Return the bytes per trained parameter of AdamW's moments and of a moving average.

    8-bit moments have a float32 scale per 256 (Dettmers 2022).
    """
    moments = 2 * (1 + 4 / 256) if recipe.train.optim.is_8bit else 8.0
    return moments + (4.0 if recipe.train.ema_decay is not None else 0.0)


def _learned_bytes(recipe: Recipe) -> float:
    """Return the bytes on the GPU per trained parameter: value, gradient and optimizer's state.

    Metric-aware training keeps a copy of the supervised values beside them.
    """
    state = optimizer_bytes(recipe)
    if recipe.train.optim.is_paged:  # moments may wait in the CPU's memory
        state = 4.0 if recipe.train.ema_decay is not None else 0.0
    has_reference = recipe.align is not None and recipe.align.needs_reference
    return 8.0 + state + (4.0 if has_reference else 0.0)


def frozen_bytes(shape: ModelShape, recipe: Recipe) -> float:
    """Return the bytes of the frozen base; 0 where every weight is trained."""
    if recipe.lora is None:
        return 0.0
    quantised = 0 if recipe.model.quantisation is None else shape.linear_parameters
    return NF4_BYTES * quantised + 2.0 * (shape.parameters - quantised)


def training_memory(shape: ModelShape, recipe: Recipe, passed: ForwardPass) -> MemoryEstimate:
    """Return the peak of a training step whose largest forward pass is ``passed``."""
    activations = kept_bytes(shape, recipe, passed) + _dequantised_bytes(shape, recipe)
    return MemoryEstimate(
        weights_gb=frozen_bytes(shape, recipe) / GB,
        learned_gb=_learned_bytes(recipe) * trainable_parameters(shape, recipe) / GB,
        activations_gb=activations / GB,
        head_gb=_head_bytes(recipe) * shape.vocabulary * passed.answer_tokens / GB,
    )


def _head_bytes(recipe: Recipe) -> int:
    return HEAD_BYTES + (0 if recipe.train.rdrop_alpha is None else RDROP_HEAD_BYTES)


def least_training_memory(shape: ModelShape, recipe: Recipe) -> MemoryEstimate:
    """Return the peak of a step on one row of the recipe's longest source and summary.

    Everything that may be recomputed is: with less memory than this, no such row can be trained on.
    """
    prompt = recipe.prompt
    together = 0 if shape.encoder_layers else prompt.max_summary_tokens
    tokens = prompt.max_source_tokens + together
    recompute = recipe.train.recomputes[-1]
    copies = recipe.train.row_copies
    answer = copies * prompt.max_summary_tokens
    row = ForwardPass(copies * tokens, answer, recompute, row_tokens=tokens)
    return training_memory(shape, recipe, row)


def generation_memory(shape: ModelShape, recipe: Recipe) -> MemoryEstimate:
    """Return the peak of generation: keys and values of a full batch beside the weights."""
    attentions = 2 if shape.encoder_layers else 1  # self and cross
    cache = attentions * row_bytes(shape, recipe, GENERATION_TOKENS)
    if recipe.lora is None:
        weights, adapters, unpacked = 4.0 * shape.parameters, 0, 0.0
    else:
        weights, adapters = frozen_bytes(shape, recipe), 4 * trainable_parameters(shape, recipe)
        unpacked = _dequantised_bytes(shape, recipe)
    if recipe.generate.weights == "merged":
        weights, unpacked = 2.0 * shape.parameters, 0.0
    return MemoryEstimate(
        weights_gb=weights / GB, learned_gb=adapters / GB, activations_gb=(cache + unpacked) / GB
    )


def row_bytes(
    shape: ModelShape, recipe: Recipe, source: float, new: float = 0.0, beams: int = 1
) -> float:
    """Return the keys and values of a row of so many tokens; layers with a window keep all, too.

    The beams of a source share its keys and values in an encoder-decoder only.
    """
    element = 4 if recipe.lora is None else 2
    copies = 1 if shape.encoder_layers else beams
    return 2.0 * shape.layers * shape.key_width * element * (copies * source + beams * new)


def rows_at_once(shape: ModelShape, recipe: Recipe, row: float, memory_gb: float) -> int:
    """Return how many rows of ``row`` bytes are generated together on a GPU of this memory."""
    needed = generation_memory(shape, recipe)
    taken = needed.weights_gb + needed.learned_gb + needed.reserve_gb
    free = GENERATION_SHARE * max(memory_gb - taken, 0.0) * GB
    return max(1, min(MAX_GENERATION_ROWS, int(free / row)))


def kept_bytes(shape: ModelShape, recipe: Recipe, passed: ForwardPass) -> float:
    """Return what all blocks together keep for the backward pass.

    A block under activation checkpointing keeps its input; one such block at a time is in memory
    in full.
    """
    block = layer_bytes(shape, recipe, passed)
    layers = max(shape.layers, shape.encoder_layers)
    shares = {Recompute.NOTHING: 0, Recompute.ALTERNATE: -(-layers // 2)}
    again = shares.get(passed.recompute, layers)
    if not again:
        return layers * block
    element = 4 if recipe.lora is None else 2
    return (layers - again + 1) * block + again * element * shape.width * passed.tokens


def layer_bytes(shape: ModelShape, recipe: Recipe, passed: ForwardPass) -> float:
    """Return what one block keeps for the backward pass; one of each half of an encoder-decoder."""
    kept = _plain_layer_bytes(shape, recipe, passed)
    if recipe.lora is None or not recipe.lora.use_dora:
        return kept
    layers = max(shape.layers, shape.encoder_layers)
    return kept + DORA_BYTES * shape.linear_outputs / layers * passed.tokens


def _plain_layer_bytes(shape: ModelShape, recipe: Recipe, passed: ForwardPass) -> float:
    if shape.keeps_scores and shape.encoder_layers:
        return _t5_bytes(shape, passed)
    width, query, key, mlp = shape.width, shape.query_width, shape.key_width, shape.mlp_width
    if shape.encoder_layers:
        # Measured with the CPU's masks: two dropouts in an encoder block, three in a decoder block.
        saved = MASK_BYTES_CPU - passed.mask_bytes
        encoder = ((48 - 2 * saved) * width + 8 * mlp) * passed.tokens
        decoder = ((60 - 3 * saved) * width + 8 * mlp) * passed.answer_tokens
        return float(encoder + decoder)
    mask = passed.mask_bytes if recipe.lora is not None and recipe.lora.lora_dropout else 0
    # Each linear layer's adapter drops out a copy of its input: q, k, v, gate and up, or two fused.
    inputs = 2 if shape.fused else 5
    per_token = (18 + inputs * mask) * width + (6 + mask) * query + 4 * key + (8 + mask) * mlp
    per_token += 4 * (shape.block_norms - 2) * width
    if shape.keeps_scores:
        per_token += 8 * shape.heads * (passed.row_tokens or passed.tokens)
    if shape.query_key_norms:
        per_token += 4 * (query + key)
    return float(per_token * passed.tokens)


def _t5_bytes(shape: ModelShape, passed: ForwardPass) -> float:
    """Return what one block of each half of a T5 keeps, the scores of its attentions included."""
    mask, inner = passed.mask_bytes, shape.query_width
    tokens, answers = passed.tokens, passed.answer_tokens
    width = ((24 + 2 * mask) * tokens + (36 + 3 * mask) * answers) * shape.width
    # Keys and values of cross-attention are the source's.
    attention = ((16 + 8) * tokens + 24 * answers) * inner
    mlp = ((28 if shape.gated else 8) + mask) * (tokens + answers) * shape.mlp_width
    row = passed.row_tokens or tokens
    answer_row = answers * row / tokens
    scores = tokens * row + answers * (answer_row + row)
    return width + attention + mlp + (8 + mask) * shape.heads * scores


def _dequantised_bytes(shape: ModelShape, recipe: Recipe) -> float:
    """Return the largest matrix as far as its product needs copies: 4-bit unpacked, DoRA's norm."""
    unpacked = 0.0 if recipe.model.quantisation is None else 2.0
    dora = recipe.lora is not None and recipe.lora.use_dora
    return (unpacked + (DORA_MATRIX_BYTES if dora else 0.0)) * shape.largest_linear
