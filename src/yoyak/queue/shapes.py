"""The shapes of models, and everything that follows from them by counting.

A shape comes from the folder or cache that holds the base, from the table of known bases, or from
the recipe that builds a model from scratch. A base that is nowhere has no shape: it is not guessed.
"""

import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from yoyak.config.schema import Recipe
from yoyak.queue import machine
from yoyak.values import Value

Family = Literal["bart", "llama", "qwen2", "qwen3"]

NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
"""Of a weight: 4 bits, an 8-bit scale per 64, a 32-bit one per 256 of those (Dettmers 2023)."""

SCRATCH_TOKENS_PER_CHARACTER = 0.6


class Shape(Value, frozen=True, kw_only=True):
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
        """Of all query heads together."""
        return self.heads * self.head_width

    @property
    def key_width(self) -> int:
        """Of all key heads together; values are as wide."""
        return self.kv_heads * self.head_width

    @property
    def linears(self) -> tuple["Linear", ...]:
        """The linear layers of one block of a causal model."""
        width, query, key, mlp = self.width, self.query_width, self.key_width, self.mlp_width
        return (
            Linear(width, query),
            Linear(width, key),
            Linear(width, key),
            Linear(query, width),
            Linear(width, mlp),
            Linear(width, mlp),
            Linear(mlp, width),
        )

    @property
    def linear_parameters(self) -> int:
        """Weights of all linear layers but the head: what 4-bit loading quantises."""
        return self.layers * sum(each.inputs * each.outputs for each in self.linears)

    @property
    def embedding_parameters(self) -> int:
        """Input embeddings, and the head where it is a matrix of its own."""
        return self.vocabulary * self.width * (1 if self.tied else 2)

    @property
    def parameters(self) -> int:
        """Every weight and bias, as the model's publisher counts them."""
        if self.family == "bart":
            return self._bart_parameters
        norms = 2 * self.width
        if self.family == "qwen3":
            norms += 2 * self.head_width
        biases = self.query_width + 2 * self.key_width if self.family == "qwen2" else 0
        small = self.layers * (norms + biases) + self.width
        return self.linear_parameters + self.embedding_parameters + small

    @property
    def _bart_parameters(self) -> int:
        width, mlp = self.width, self.mlp_width
        attention = 4 * (width * width + width)
        feed = 2 * width * mlp + mlp + width
        encoder = attention + feed + 2 * 2 * width
        decoder = 2 * attention + feed + 3 * 2 * width
        positions = 2 * self.positions * width
        return self.embedding_parameters + positions + self.layers * (encoder + decoder) + 4 * width

    def lora_parameters(self, rank: int) -> int:
        """Of rank-``rank`` adapters on every linear layer of a causal model."""
        return self.layers * sum(rank * (each.inputs + each.outputs) for each in self.linears)


class Linear(NamedTuple):
    """One linear layer."""

    inputs: int
    outputs: int


def shape_of(recipe: Recipe) -> Shape | None:
    """The shape of a recipe's model; ``None`` where nothing says it, or there is no model."""
    if recipe.model.scratch is not None:
        return _from_scratch(recipe)
    base = recipe.model.base
    if base is None:
        return None
    folder = Path(base) if Path(base).is_dir() else machine.cached_model(base)
    known = _known().get(base)
    if folder is None:
        return known
    ratio = known.tokens_per_character if known else SCRATCH_TOKENS_PER_CHARACTER
    return read_config(folder / "config.json", ratio)


def read_config(path: Path, tokens_per_character: float) -> Shape | None:
    """The shape that a ``config.json`` states; ``None`` for a family that is not known."""
    config: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    family = config.get("model_type")
    if family == "bart":
        return _bart_config(config, tokens_per_character)
    if family not in {"llama", "qwen2", "qwen3"}:
        return None
    heads = config["num_attention_heads"]
    return Shape(
        family=family,
        layers=config["num_hidden_layers"],
        width=config["hidden_size"],
        heads=heads,
        kv_heads=config.get("num_key_value_heads", heads),
        head_width=config.get("head_dim") or config["hidden_size"] // heads,
        mlp_width=config["intermediate_size"],
        vocabulary=config["vocab_size"],
        tied=config.get("tie_word_embeddings", False),
        tokens_per_character=tokens_per_character,
    )


def _bart_config(config: dict[str, Any], tokens_per_character: float) -> Shape:
    width, heads = config["d_model"], config["encoder_attention_heads"]
    return Shape(
        family="bart",
        layers=config["encoder_layers"],
        width=width,
        heads=heads,
        kv_heads=heads,
        head_width=width // heads,
        mlp_width=config["encoder_ffn_dim"],
        vocabulary=config["vocab_size"],
        # BART's positions begin two places late (fairseq's padding offset).
        positions=config["max_position_embeddings"] + 2,
        tied=True,
        tokens_per_character=tokens_per_character,
    )


def _from_scratch(recipe: Recipe) -> Shape | None:
    scratch = recipe.model.scratch
    if scratch is None:
        return None
    whole = scratch.architecture == "bart"
    return Shape(
        family=scratch.architecture,
        layers=scratch.layers,
        width=scratch.width,
        heads=scratch.heads,
        kv_heads=scratch.heads if whole else max(1, scratch.heads // 2),
        head_width=scratch.width // scratch.heads,
        mlp_width=4 * scratch.width,
        vocabulary=scratch.vocabulary,
        tied=True,
        tokens_per_character=SCRATCH_TOKENS_PER_CHARACTER,
        positions=recipe.prompt.max_source_tokens if whole else 0,
    )


@cache
def _known() -> dict[str, Shape]:
    text = (files(__package__) / "bases.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), dict[str, Shape])
