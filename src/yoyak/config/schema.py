"""What to learn and how, as one typed value resolved from layers of TOML.

Layers, later ones win: the bundled recipe (and what it ``extends``) < a recipe file of the user's
< ``[recipes.NAME]`` in ``./yoyak.toml`` < ``--set a.b=c``. Tables merge, anything else replaces.
Every value keeps its origin, and a key that no setting has is an error with a suggestion.
"""

import hashlib
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from yoyak.values import DevMetric

Positive = Annotated[int, Meta(ge=1)]
Fraction = Annotated[float, Meta(ge=0.0, le=1.0)]
AboveZero = Annotated[float, Meta(gt=0.0)]
Quantile = Annotated[float, Meta(gt=0.0, lt=1.0)]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of all sections: frozen, by keyword only, unknown keys refused."""


class ScratchSettings(Settings, frozen=True, kw_only=True):
    """A model built from its architecture with random weights, and a tokenizer trained on train.

    For showing that everything works; such a model's scores say nothing about quality.
    """

    architecture: Literal["bart", "llama", "qwen2", "qwen3"]
    vocabulary: Positive
    width: Positive
    layers: Positive
    heads: Positive
    pretrain_epochs: Annotated[int, Meta(ge=0)] = 0
    """Passes over train's texts as a language model first: adapters need a base that can speak."""

    def __post_init__(self) -> None:
        if self.pretrain_epochs and self.architecture == "bart":
            raise ValueError(
                "pretrain_epochs is for causal models; bart learns with all its weights"
            )


class ModelSettings(Settings, frozen=True, kw_only=True):
    """Where the weights come from: a hub id or local folder, or from scratch."""

    base: str | None = None
    revision: str | None = None
    alternative: str | None = None
    """Another base that is known to fit this recipe; documentation, set it with ``model.base``."""
    quantisation: Literal["nf4"] | None = None
    """``nf4`` means 4-bit NF4 with double quantisation (Dettmers 2023)."""
    scratch: ScratchSettings | None = None
    parameters: Positive | None = None
    """As published, for planning before anything is downloaded."""
    licence: str | None = None

    def __post_init__(self) -> None:
        if self.base is not None and self.scratch is not None:
            raise ValueError("base and scratch exclude each other")


class LoraSettings(Settings, frozen=True, kw_only=True):
    """Low-rank adapters (Hu 2021) on every linear layer; no bias is trained."""

    r: Positive = 16
    lora_alpha: Positive = 32
    lora_dropout: Fraction = 0.05
    target_modules: Literal["all-linear"] = "all-linear"


class PromptSettings(Settings, frozen=True, kw_only=True):
    """How a dialogue is shown; only fields that test.csv has can be shown."""

    style: Literal["chat", "source"]
    system: str = ""
    instruction: str = ""
    examples: Annotated[int, Meta(ge=0)] = 0
    """Answered train dialogues that are shown first: few-shot, for bases that learn nothing."""
    max_source_tokens: Positive = 1024
    max_summary_tokens: Positive = 256


class LrScheduler(StrEnum):
    """How the learning rate moves after the warm-up."""

    COSINE = "cosine"
    LINEAR = "linear"
    CONSTANT = "constant"


Checkpointing = Literal["auto", "off", "selective", "on"]


class Recompute(StrEnum):
    """Which blocks compute their activations again on the way back instead of keeping them.

    In the order in which they are tried: each saves memory over the one before it and costs time.
    """

    NOTHING = "off"
    ALTERNATE = "selective"
    """Every second block."""
    EVERYTHING = "on"

    def saves_over(self, other: "Recompute") -> bool:
        """Whether less is kept than with ``other``."""
        order = list(Recompute)
        return order.index(self) > order.index(other)


class TrainSettings(Settings, frozen=True, kw_only=True):
    """Settings of the optimizer and the training loop."""

    epochs: Annotated[int, Meta(ge=0)] = 1
    """A ceiling, because early stopping is on; 0 means zero-shot."""
    max_steps: Positive | None = None
    batch_size: Positive = 8
    """Rows of one optimiser step: this is the effective batch and never changes silently."""
    micro_batch_size: Positive | None = None
    """At most this many rows in one forward pass; the rest of the batch is accumulated."""
    micro_batch_tokens: Positive | None = None
    """At most this many padded tokens in one forward pass."""
    learning_rate: AboveZero = 5e-5
    lr_scheduler: LrScheduler = LrScheduler.COSINE
    warmup_ratio: Fraction = 0.0
    weight_decay: Annotated[float, Meta(ge=0.0)] = 0.0
    max_grad_norm: AboveZero = 1.0
    label_smoothing: Fraction = 0.0
    gradient_checkpointing: Checkpointing = "auto"
    """``auto`` goes from none to every second, then every block, as memory ends."""
    packing: Literal["auto", "on", "off"] = "auto"
    """Rows of a pass in one line; ``auto``: on a card, where that is proved and measures faster."""
    kernels: Literal["torch", "liger"] = "torch"
    """Whose norms, SwiGLU and rotary positions; ``liger`` needs a card and the kernels extra."""
    compile: bool = False
    """``torch.compile`` of each block of the model."""
    save_every_steps: Positive = 200
    deterministic: bool = True
    """On a card, kernels that repeat themselves to the bit, if two short runs show that they do;
    it is shown once, before the first step."""
    seed: int = 42

    def __post_init__(self) -> None:
        if self.micro_batch_size is not None and self.batch_size % self.micro_batch_size:
            raise ValueError(
                f"batch_size ({self.batch_size}) must be a multiple of "
                f"micro_batch_size ({self.micro_batch_size})"
            )

    @property
    def recomputes(self) -> tuple[Recompute, ...]:
        """What may be recomputed, in the order in which it is tried."""
        if self.gradient_checkpointing == "auto":
            return tuple(Recompute)
        return (Recompute(self.gradient_checkpointing),)


RESUMABLE_SETTINGS = (
    "micro_batch_size",
    "micro_batch_tokens",
    "gradient_checkpointing",
    "packing",
    "kernels",
    "compile",
    "save_every_steps",
    "deterministic",
)
"""Settings of [train] that say how a step is computed, not which: its gradient is the same within
rounding. A run may go on under others, and says so."""


class EvaluateSettings(Settings, frozen=True, kw_only=True):
    """Judging by generated dev summaries during training."""

    metric: DevMetric = DevMetric.ROUGE_MEAN
    """What chooses the best checkpoint and ends training early."""
    at_start: bool = True
    """Judge once before the first step, so that every later score has something to be above."""
    every_epochs: Positive | None = 1
    """``None`` (write ``"never"`` in TOML) leaves evaluation to the end of training."""
    rows: Positive | None = 100
    """Rows of dev per evaluation, the same ones each time; the finished run is judged on all."""
    patience: Positive | None = 3
    """Stop after this many evaluations in a row without a better ``metric``."""


class Greedy(Settings, frozen=True, kw_only=True, tag_field="kind", tag="greedy"):
    """Always the likeliest token: deterministic."""

    max_new_tokens: Positive | None = None
    """``None``: from the training summaries' lengths (99.9th percentile and a margin)."""
    length_cap_quantile: Quantile | None = None
    """Caps each summary where this share of training summaries of dialogues as long have ended."""
    no_repeat_ngram_size: Annotated[int, Meta(ge=0)] = 0


class BeamSearch(Settings, frozen=True, kw_only=True, tag_field="kind", tag="beam"):
    """The best of several beams: deterministic."""

    num_beams: Annotated[int, Meta(ge=2)] = 4
    length_penalty: float = 1.0
    min_new_tokens: Annotated[int, Meta(ge=0)] = 0
    max_new_tokens: Positive | None = None
    length_cap_quantile: Quantile | None = None
    no_repeat_ngram_size: Annotated[int, Meta(ge=0)] = 0


class Sampling(Settings, frozen=True, kw_only=True, tag_field="kind", tag="sample"):
    """Drawn at random: never the default for scoring; ``seed`` makes it repeatable."""

    temperature: AboveZero = 0.7
    top_p: Fraction = 0.9
    max_new_tokens: Positive | None = None
    length_cap_quantile: Quantile | None = None
    no_repeat_ngram_size: Annotated[int, Meta(ge=0)] = 0
    seed: int = 42


Decode = Greedy | BeamSearch | Sampling


def shared_settings(decode: Decode) -> dict[str, Any]:
    """The settings of ``decode`` that every kind of decoding has, for one of another kind."""
    names = Greedy.__struct_fields__
    return {name: getattr(decode, name) for name in names}


class GenerateSettings(Settings, frozen=True, kw_only=True):
    """What predictions are computed with; whatever is not as it was trained is compared first."""

    weights: Literal["trained", "merged"] = "trained"
    """``trained``: adapters on the base as training had it, the very system that was judged.
    ``merged``: adapters added into the base in bfloat16, without its 4-bit rounding."""
    library: Literal["transformers", "ctranslate2"] = "transformers"
    """Who decodes an encoder-decoder; CTranslate2 only where it says the same."""


LONGEST_NAME = 80


class Recipe(Settings, frozen=True, kw_only=True):
    """Everything that decides what a run learns and says."""

    name: str
    engine: str
    about: str = ""
    """One line for people."""
    model: ModelSettings = ModelSettings()
    lora: LoraSettings | None = None
    prompt: PromptSettings = PromptSettings(style="source")
    train: TrainSettings = TrainSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    decode: Decode = Greedy()
    generate: GenerateSettings = GenerateSettings()

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.name.isprintable() or "/" in self.name:
            raise ValueError("name has to be a line of text without a slash")
        if len(self.name) > LONGEST_NAME:
            raise ValueError(f"name has at most {LONGEST_NAME} characters, not {len(self.name)}")
        if self.model.quantisation is not None and self.lora is None:
            raise ValueError("a quantised model cannot be trained without [lora]")
        if self.prompt.examples and (self.train.epochs or self.prompt.style != "chat"):
            raise ValueError("prompt.examples are for chat models with train.epochs = 0")
        if self.generate.weights == "merged" and self.lora is None:
            raise ValueError('generate.weights = "merged" needs adapters: [lora]')
        if self.generate.library == "ctranslate2" and self.prompt.style != "source":
            raise ValueError('generate.library = "ctranslate2" is for encoder-decoders only')

    @property
    def learning_hash(self) -> str:
        """SHA-256 of what decides the weights: no description, no speech, nothing of ``HOW``."""
        usual = {name: getattr(TrainSettings(), name) for name in RESUMABLE_SETTINGS}
        train = msgspec.structs.replace(self.train, **usual)
        spoken = {"decode": Greedy(), "generate": GenerateSettings()}
        return _sha256(msgspec.structs.replace(self, about="", train=train, **spoken))

    @property
    def full_hash(self) -> str:
        """SHA-256 of every setting."""
        return _sha256(msgspec.structs.replace(self, about=""))


def _sha256(recipe: Recipe) -> str:
    return hashlib.sha256(msgspec.json.encode(recipe, order="sorted")).hexdigest()
