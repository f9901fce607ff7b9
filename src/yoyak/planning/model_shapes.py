"""Sizes of models, and the parameter counts that follow from them.

A shape comes from the folder or cache that holds the base, from bases.toml, or from the recipe of a
model from scratch. A base that is in none of them has no shape: it is not guessed.
"""

import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from yoyak.config.schema import Recipe, ScratchSettings
from yoyak.system.probe import base_status
from yoyak.values import Value

Family = Literal["bart", "llama", "qwen2", "qwen3"]

DEFAULT_TOKENS_PER_CHARACTER = 0.6


class ModelShape(Value, frozen=True, kw_only=True):
    """What a model's configuration says; a BART has ``layers`` in each of its two halves."""

    family: Family
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_width: int
    mlp_width: int
    vocabulary: int
    tied: bool
    tokens_per_character: float
    positions: int = 0

    @property
    def query_width(self) -> int:
        """Width of all query heads together."""
        return self.heads * self.head_width

    @property
    def key_width(self) -> int:
        """Width of all key heads together; values are as wide."""
        return self.kv_heads * self.head_width

    @property
    def linears(self) -> tuple[tuple[int, int], ...]:
        """Inputs and outputs of one causal block's linear layers: q, k, v, o, gate, up, down."""
        width, query, key, mlp = self.width, self.query_width, self.key_width, self.mlp_width
        attention = ((width, query), (width, key), (width, key), (query, width))
        return (*attention, (width, mlp), (width, mlp), (mlp, width))

    @property
    def linear_parameters(self) -> int:
        """Weights of all linear layers but the head: what 4-bit loading quantises."""
        return self.layers * sum(inputs * outputs for inputs, outputs in self.linears)

    @property
    def embedding_parameters(self) -> int:
        """Input embeddings, and the head where it is a matrix of its own."""
        return self.vocabulary * self.width * (1 if self.tied else 2)

    @property
    def parameters(self) -> int:
        """Every weight and bias, as the model's publisher counts them."""
        width, mlp = self.width, self.mlp_width
        if self.family == "bart":
            attention, feed = 4 * (width * width + width), 2 * width * mlp + mlp + width
            layer = 3 * attention + 2 * feed + 5 * 2 * width  # of encoder and decoder
            positions = 2 * self.positions * width
            return self.embedding_parameters + positions + self.layers * layer + 4 * width
        norms = 2 * width + (2 * self.head_width if self.family == "qwen3" else 0)
        biases = self.query_width + 2 * self.key_width if self.family == "qwen2" else 0
        small = self.layers * (norms + biases) + width
        return self.linear_parameters + self.embedding_parameters + small

    def lora_parameters(self, rank: int) -> int:
        """Return the size of rank-``rank`` adapters on every linear layer of a causal model."""
        return self.layers * sum(rank * (inputs + outputs) for inputs, outputs in self.linears)


def shape_of(recipe: Recipe) -> ModelShape | None:
    """Return the shape of a recipe's model; ``None`` if there is no model or nothing states it."""
    model = recipe.model
    if model.scratch is not None:
        return _scratch_shape(model.scratch, recipe.prompt.max_source_tokens)
    if model.base is None:
        return None
    known, folder = _known_bases().get(model.base), base_status(model.base).folder
    if folder is None:
        return known
    ratio = known.tokens_per_character if known else DEFAULT_TOKENS_PER_CHARACTER
    return read_config(folder / "config.json", ratio)


def read_config(path: Path, tokens_per_character: float) -> ModelShape | None:
    """Return the shape that a ``config.json`` states.

    ``None`` for a family that is not known, and for a file that is no configuration of it.
    """
    try:
        config = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        return _shape_of_config(config, tokens_per_character)
    except (msgspec.DecodeError, KeyError):
        return None


def _shape_of_config(config: dict[str, Any], tokens_per_character: float) -> ModelShape | None:
    family: Any = config.get("model_type")
    if family not in get_args(Family):
        return None
    bart = family == "bart"
    width = config["d_model" if bart else "hidden_size"]
    heads = config["encoder_attention_heads" if bart else "num_attention_heads"]
    return ModelShape(
        family=family,
        layers=config["encoder_layers" if bart else "num_hidden_layers"],
        width=width,
        heads=heads,
        kv_heads=config.get("num_key_value_heads", heads),
        head_width=config.get("head_dim") or width // heads,
        mlp_width=config["encoder_ffn_dim" if bart else "intermediate_size"],
        vocabulary=config["vocab_size"],
        # BART's positions begin two places late (fairseq's padding offset).
        positions=config["max_position_embeddings"] + 2 if bart else 0,
        tied=bart or config.get("tie_word_embeddings", False),
        tokens_per_character=tokens_per_character,
    )


def _scratch_shape(scratch: ScratchSettings, positions: int) -> ModelShape:
    bart = scratch.architecture == "bart"
    return ModelShape(
        family=scratch.architecture,
        layers=scratch.layers,
        width=scratch.width,
        heads=scratch.heads,
        kv_heads=scratch.heads if bart else max(1, scratch.heads // 2),
        head_width=scratch.width // scratch.heads,
        mlp_width=4 * scratch.width,
        vocabulary=scratch.vocabulary,
        tied=True,
        tokens_per_character=DEFAULT_TOKENS_PER_CHARACTER,
        positions=positions if bart else 0,
    )


@cache
def _known_bases() -> dict[str, ModelShape]:
    text = (files(__package__) / "bases.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), dict[str, ModelShape])
