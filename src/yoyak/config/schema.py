"""The typed schema of a recipe: every section and setting, with defaults and allowed values.

Layers, later ones win: the bundled recipe (and what it ``extends``) < a recipe file of the user's
< ``[recipes.NAME]`` in ``./yoyak.toml`` < ``--set a.b=c``. Tables merge, anything else replaces.
Every value keeps its origin, and a key that no setting has is an error with a suggestion.
"""

import hashlib
import json
import shlex
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from yoyak.values import DevMetric

Positive = Annotated[int, Meta(ge=1)]
Fraction = Annotated[float, Meta(ge=0.0, le=1.0)]
AboveZero = Annotated[float, Meta(gt=0.0)]
Quantile = Annotated[float, Meta(gt=0.0, lt=1.0)]
PositiveFraction = Annotated[float, Meta(gt=0.0, le=1.0)]
Ratio = Annotated[float, Meta(ge=1.0)]


BROKEN_RULE = "config.rule-"
"""How the text of a ``broken_rule`` begins."""


def broken_rule(name: str, **fields: int) -> ValueError:
    """Return the error of settings that do not fit together: a message key and its fields, as JSON.

    msgspec keeps the text of a ValueError only, so the sentence is made where it is caught.
    """
    return ValueError(f"{BROKEN_RULE}{name} {json.dumps(fields)}")


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all sections: frozen, by keyword only, unknown keys refused."""


class ScratchSettings(Settings, frozen=True, kw_only=True):
    """A model built from its architecture with random weights, and a tokenizer trained on train.

    For tests and demonstrations; the scores of such a model say nothing about quality.
    """

    architecture: Literal["bart", "llama", "qwen2", "qwen3"]
    """Class of the model: its layers, at the sizes below."""
    vocabulary: Positive
    """Tokens of the trained tokenizer."""
    width: Positive
    """Hidden size."""
    layers: Positive
    """Blocks of the decoder, and as many of the encoder."""
    heads: Positive
    """Attention heads of a layer."""
    pretrain_epochs: Annotated[int, Meta(ge=0)] = 0
    """Epochs of summarising train without a prompt first: adapters need a trained base."""

    def __post_init__(self) -> None:
        if self.pretrain_epochs and self.architecture == "bart":
            raise broken_rule("pretrain")


class ModelSettings(Settings, frozen=True, kw_only=True):
    """Where the weights come from: a hub id or local folder, or from scratch."""

    base: str | None = None
    """Hub id such as ``org/name``, or a local folder."""
    revision: str | None = None
    """Commit, tag or branch of the hub; the newest where none is given."""
    alternative: str | None = None
    """Another base that is known to fit this recipe; documentation, set it with ``model.base``."""
    quantisation: Literal["nf4"] | None = None
    """``nf4`` means 4-bit NF4 with double quantisation (Dettmers 2023)."""
    allow_pickle: bool = False
    """Load weights that are a pickle (``pytorch_model.bin``); safetensors are taken where both are
    there."""
    scratch: ScratchSettings | None = None
    """Build the model from scratch instead of loading ``base``."""

    def __post_init__(self) -> None:
        if self.base is not None and self.scratch is not None:
            raise broken_rule("base-or-scratch")


class PublishedBase(Settings, frozen=True, kw_only=True):
    """What is known of ``model.base`` before it is read; it decides nothing that a run computes.

    It belongs to that base: a layer that names another base drops it.
    """

    family: str | None = None
    """Name under which the base is listed."""
    parameters: Positive | None = None
    """Number of weights."""
    licence: str | None = None
    """Name of the licence."""
    context: Positive | None = None
    """Tokens, as published."""
    gated: bool | None = None
    """Whether the hub gives it only to who has accepted the terms."""
    source: str | None = None
    """The publisher's page, where these facts can be checked."""
    tokens_per_character: AboveZero | None = None
    """Measured with its tokenizer on Korean dialogues."""
    config: dict[str, Any] | None = None
    """The sizes in its ``config.json``, to plan with before anything is downloaded."""


class LoraSettings(Settings, frozen=True, kw_only=True):
    """Low-rank adapters (Hu 2021) on every linear layer; no bias is trained."""

    r: Positive = 16
    """Rank of the adapters."""
    lora_alpha: Positive = 32
    """Scale of the update: it is multiplied by ``lora_alpha / r``."""
    lora_dropout: Fraction = 0.05
    """Share of the inputs of an adapter that are set to zero in training."""
    target_modules: Literal["all-linear"] = "all-linear"
    """Layers that get an adapter: every linear one but the head."""
    use_rslora: bool = False
    """Rank-stabilised: scale by lora_alpha / √r, not lora_alpha / r (Kalajdzievski 2023)."""
    use_dora: bool = False
    """Train the magnitude of each matrix's rows beside their direction (DoRA, Liu 2024)."""
    init_lora_weights: Literal["pissa"] | None = None
    """``pissa``: start from the base's principal singular vectors, which are taken out of the base
    (Meng 2024). ``None``: A random and B zero."""
    loraplus_lr_ratio: Ratio | None = None
    """Learning rate of B as a multiple of A's, which is ``train.learning_rate`` (LoRA+, Hayou
    2024)."""


class PromptSettings(Settings, frozen=True, kw_only=True):
    """The prompt; only fields that test.csv has can enter it."""

    style: Literal["chat", "source"]
    """``chat``: the base's chat template; ``source``: the dialogue alone, for encoder-decoders."""
    system: str = ""
    """System turn of a chat."""
    instruction: str = ""
    """What is asked of the model, before the dialogue."""
    examples: Annotated[int, Meta(ge=0)] = 0
    """Few-shot examples from train, for models that are not trained."""
    turn_format: Literal["lines", "numbered", "spaced"] = "lines"
    """A line a turn; with its number before it; with an empty line between turns."""
    speaker_names: Literal["tags", "words"] = "tags"
    """``#Person1#`` as the data have it, or ``화자 1``, in the dialogue only."""
    max_source_tokens: Positive = 1024
    """Longest dialogue; of a longer one the middle is left out."""
    max_summary_tokens: Positive = 256
    """Longest summary; train with a longer one is refused."""


class LrScheduler(StrEnum):
    """Learning-rate schedule after the warm-up."""

    COSINE = "cosine"
    LINEAR = "linear"
    CONSTANT = "constant"
    COSINE_WITH_MIN_LR = "cosine_with_min_lr"
    """Cosine down to ``min_lr_rate`` × ``learning_rate``."""


class Optim(StrEnum):
    """The implementation of AdamW, by transformers' names."""

    ADAMW = "adamw_torch_fused"
    ADAMW_8BIT = "adamw_8bit"
    """Moments in 8 bit, in blocks of 256 (Dettmers 2022)."""
    PAGED_ADAMW_8BIT = "paged_adamw_8bit"
    PAGED_ADAMW_32BIT = "paged_adamw_32bit"
    """Paged: moments go to the CPU's memory while the GPU's is short."""

    @property
    def is_paged(self) -> bool:
        """Whether moments may be paged out."""
        return self in {Optim.PAGED_ADAMW_8BIT, Optim.PAGED_ADAMW_32BIT}

    @property
    def is_8bit(self) -> bool:
        """Whether moments are stored in 8 bit."""
        return self in {Optim.ADAMW_8BIT, Optim.PAGED_ADAMW_8BIT}


Checkpointing = Literal["auto", "off", "selective", "on"]


class Recompute(StrEnum):
    """Activation checkpointing: which blocks recompute activations in the backward pass.

    In the order in which they are tried: each saves memory over the one before and costs time.
    """

    NOTHING = "off"
    ALTERNATE = "selective"
    """Every second block."""
    EVERYTHING = "on"

    def saves_over(self, other: "Recompute") -> bool:
        """Return whether fewer activations are kept than with ``other``."""
        order = list(Recompute)
        return order.index(self) > order.index(other)


class TrainSettings(Settings, frozen=True, kw_only=True):
    """Settings of the optimizer and the training loop."""

    epochs: Annotated[int, Meta(ge=0)] = 1
    """At most this many, because early stopping is on; 0 means zero-shot."""
    max_steps: Positive | None = None
    """Stop after this many steps, whatever ``epochs`` says."""
    batch_size: Positive = 8
    """Rows of one optimizer step (the effective batch); it never changes silently."""
    micro_batch_size: Positive | None = None
    """At most this many rows in one forward pass; gradients are accumulated over the batch."""
    micro_batch_tokens: Positive | None = None
    """At most this many padded tokens in one forward pass."""
    learning_rate: AboveZero = 5e-5
    """Highest learning rate of AdamW, after the warm-up."""
    lr_scheduler: LrScheduler = LrScheduler.COSINE
    """How the learning rate falls after the warm-up."""
    min_lr_rate: Fraction | None = None
    """Floor of ``cosine_with_min_lr``, as a share of ``learning_rate``."""
    warmup_ratio: Fraction = 0.0
    """Share of the steps over which the learning rate rises from zero."""
    layerwise_lr_decay: PositiveFraction | None = None
    """Learning rate of each block as a multiple of the block's above it; the head has
    ``learning_rate``, embeddings the lowest (ELECTRA, Clark 2020)."""
    optim: Optim = Optim.ADAMW
    """The implementation of AdamW; 8-bit and paged ones take less GPU memory."""
    weight_decay: Annotated[float, Meta(ge=0.0)] = 0.0
    """Decoupled weight decay of AdamW."""
    max_grad_norm: AboveZero = 1.0
    """Gradients are clipped to this norm."""
    label_smoothing: Fraction = 0.0
    """Share of the probability that the loss spreads over all tokens."""
    neftune_noise_alpha: AboveZero | None = None
    """Uniform noise of at most alpha / √(tokens × width) on the embeddings (NEFTune, Jain 2023)."""
    rdrop_alpha: AboveZero | None = None
    """Weight of the divergence between two forward passes with other dropout (R-Drop, Liang
    2021)."""
    ema_decay: Quantile | None = None
    """Keep an exponential moving average of the weights; it is evaluated beside them, and the
    better of the two is exported."""
    gradient_checkpointing: Checkpointing = "auto"
    """``auto`` goes from no block to every second, then to every block, when memory runs out."""
    packing: Literal["auto", "on", "off"] = "auto"
    """Packing without cross-contamination (cu_seqlens); ``auto``: on a GPU, where a check against
    padded rows passes and it measures faster."""
    kernels: Literal["auto", "torch", "fused", "liger"] = "auto"
    """``fused``: LoRA layers with gradients by hand; ``auto``: those in blocks of known families.
    ``liger``: kernels of norms, SwiGLU and rotary embeddings; needs a GPU and its extra.
    ``torch``: what transformers and PEFT compute."""
    compile: bool = False
    """``torch.compile`` of each block of the model."""
    save_every_steps: Positive = 200
    """Steps between checkpoints."""
    deterministic: bool = True
    """On a GPU, bitwise reproducible kernels, if two short runs before the first step agree."""
    seed: int = 42
    """Seed of the order of rows, of dropout and of new weights."""

    def __post_init__(self) -> None:
        if self.micro_batch_size is not None and self.batch_size % self.micro_batch_size:
            sizes = {"batch": self.batch_size, "micro": self.micro_batch_size}
            raise broken_rule("multiple", **sizes)
        has_floor = self.lr_scheduler is LrScheduler.COSINE_WITH_MIN_LR
        if has_floor != (self.min_lr_rate is not None):
            raise broken_rule("min-lr-rate")

    @property
    def row_copies(self) -> int:
        """How often a row is in its forward pass: R-Drop compares two."""
        return 1 if self.rdrop_alpha is None else 2

    @property
    def recomputes(self) -> tuple[Recompute, ...]:
        """The levels of activation checkpointing, in the order in which they are tried."""
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
"""Settings of [train] that change how a step is computed but its gradient only within rounding:
a run may be resumed with others, and says so."""


AlignMethod = Literal["mrt", "grpo", "dpo", "simpo", "ipo", "brio"]
ONLINE_METHODS = ("mrt", "grpo")
"""They sample anew at every step; the others rank samples of the supervised model once."""


class AlignSettings(Settings, frozen=True, kw_only=True):
    """Metric-aware training after supervised training, with ROUGE of sampled summaries as reward.

    ``mrt`` is minimum risk training, ``grpo`` group-relative policy optimisation; ``dpo``,
    ``simpo`` and ``ipo`` learn from the best and the worst sample, ``brio`` from the ranking.
    """

    method: AlignMethod
    """The objective."""
    samples: Annotated[int, Meta(ge=2)] = 8
    """Summaries that are sampled for each dialogue."""
    temperature: AboveZero = 1.0
    """Of the sampled summaries."""
    rouge_weights: tuple[
        Annotated[float, Meta(ge=0.0)],
        Annotated[float, Meta(ge=0.0)],
        Annotated[float, Meta(ge=0.0)],
    ] = (1.0, 1.0, 1.0)
    """Weights of ROUGE-1, ROUGE-2 and ROUGE-L in the reward."""
    rank_by: Literal["reference", "mbr"] = "reference"
    """``mbr``: by the mean ROUGE to the other samples, without looking at the references."""
    length_penalty: Annotated[float, Meta(ge=0.0)] = 0.0
    """Taken from the reward for each unit of |ln(length ÷ length of the references)|."""
    length_normalised: bool = True
    """Average a sequence's log-probabilities over its tokens (``mrt``, ``grpo``, ``brio``)."""
    sharpness: AboveZero = 1.0
    """``mrt``: exponent of the renormalised distribution over the samples."""
    kl: Annotated[float, Meta(ge=0.0)] = 0.02
    """``mrt`` and ``grpo``: weight of the divergence from the supervised model."""
    clip: AboveZero = 0.2
    """``grpo``: a ratio of probabilities counts up to this far from 1."""
    updates: Positive = 1
    """``grpo``: optimizer steps on the same samples."""
    scale_rewards: bool = True
    """``grpo``: divide advantages by the standard deviation of their group."""
    beta: AboveZero | None = None
    """``None``: 0.1, for ``simpo`` 2."""
    margin: Annotated[float, Meta(ge=0.0)] | None = None
    """``None``: 1 for ``simpo``, 0.001 for each rank of ``brio``."""
    likelihood_weight: Annotated[float, Meta(ge=0.0)] = 0.0
    """Weight of the reference summary's loss per token beside the objective."""
    epochs: Positive = 1
    """Passes over train."""
    max_steps: Positive | None = None
    """Stop after this many steps, whatever ``epochs`` says."""
    batch_size: Positive = 8
    """Dialogues of one step."""
    learning_rate: AboveZero = 1e-6
    """Highest learning rate, after the warm-up."""
    warmup_ratio: Fraction = 0.0
    """Share of the steps over which the learning rate rises from zero."""
    evaluate_every_steps: Positive = 50
    """Steps between evaluations on dev."""

    def __post_init__(self) -> None:
        if not sum(self.rouge_weights):
            raise broken_rule("rouge-weights")
        if self.rank_by == "mbr" and self.is_online:
            raise broken_rule("mbr-online")

    @property
    def is_online(self) -> bool:
        """Whether every step samples from the model as it is then."""
        return self.method in ONLINE_METHODS

    @property
    def needs_reference(self) -> bool:
        """Whether steps ask for log-probabilities of the supervised model."""
        return self.method in {"dpo", "ipo"} or (self.is_online and self.kl > 0)


class EvaluateSettings(Settings, frozen=True, kw_only=True):
    """Evaluation on generated dev summaries during training."""

    metric: DevMetric = DevMetric.ROUGE_MEAN
    """The metric of the best checkpoint and of early stopping."""
    at_start: bool = True
    """Evaluate once before the first step, as the baseline of training."""
    every_epochs: Positive | None = 1
    """``None`` (``"none"`` in TOML) leaves evaluation to the end of training."""
    rows: Positive | None = 100
    """Rows of dev per evaluation, the same ones each time; the finished run is scored on all."""
    dev_half: Literal["both", "selection"] = "both"
    """``selection``: only rows of the half of dev that settings are chosen on, as trials do, so
    that nothing about a checkpoint was chosen on the half that judges (``data/dev_halves.py``)."""
    max_new_tokens: Positive | None = None
    """Limit of each summary while training; ``None`` as for ``decode.max_new_tokens``, whose value
    does not count here: the best checkpoint does not depend on how the run is decoded later."""
    patience: Positive | None = 3
    """Stop after this many evaluations in a row without a better ``metric``."""


class Greedy(Settings, frozen=True, kw_only=True, tag_field="kind", tag="greedy"):
    """Greedy decoding: deterministic."""

    max_new_tokens: Positive | None = None
    """``None``: from the training summaries' lengths (99.9th percentile and a margin)."""
    length_cap_quantile: Quantile | None = None
    """Caps each summary where this share of training summaries of dialogues as long have ended."""
    no_repeat_ngram_size: Annotated[int, Meta(ge=0)] = 0
    """No n-gram of this size occurs twice in a summary; 0 allows all."""


class BeamSearch(Settings, frozen=True, kw_only=True, tag_field="kind", tag="beam"):
    """Beam search: deterministic."""

    num_beams: Annotated[int, Meta(ge=2)] = 4
    """Hypotheses that are kept at each token."""
    length_penalty: float = 1.0
    """Exponent of the length by which a score is divided; larger favours longer summaries."""
    min_new_tokens: Annotated[int, Meta(ge=0)] = 0
    """No summary ends before this many tokens."""
    max_new_tokens: Positive | None = None
    """``None``: from the training summaries' lengths (99.9th percentile and a margin)."""
    length_cap_quantile: Quantile | None = None
    """Caps each summary where this share of training summaries of dialogues as long have ended."""
    no_repeat_ngram_size: Annotated[int, Meta(ge=0)] = 0
    """No n-gram of this size occurs twice in a summary; 0 allows all."""


class Sampling(Settings, frozen=True, kw_only=True, tag_field="kind", tag="sample"):
    """Sampling: never the default for scoring; ``seed`` makes it reproducible."""

    temperature: AboveZero = 0.7
    """Divides the logits: lower is closer to greedy."""
    top_p: Fraction = 0.9
    """Tokens are drawn from the likeliest ones that together have this probability."""
    max_new_tokens: Positive | None = None
    """``None``: from the training summaries' lengths (99.9th percentile and a margin)."""
    length_cap_quantile: Quantile | None = None
    """Caps each summary where this share of training summaries of dialogues as long have ended."""
    no_repeat_ngram_size: Annotated[int, Meta(ge=0)] = 0
    """No n-gram of this size occurs twice in a summary; 0 allows all."""
    seed: int = 42
    """Seed of the draws."""


Decode = Greedy | BeamSearch | Sampling


def shared_settings(decode: Decode) -> dict[str, Any]:
    """Return the settings of ``decode`` that every kind of decoding has."""
    names = Greedy.__struct_fields__
    return {name: getattr(decode, name) for name in names}


class GenerateSettings(Settings, frozen=True, kw_only=True):
    """The inference backend; one that differs from training must pass a parity check first."""

    weights: Literal["trained", "merged"] = "trained"
    """``trained``: adapters on the base as in training, the very system that was evaluated.
    ``merged``: adapters added into the base in bfloat16, without its 4-bit rounding."""
    library: Literal["transformers", "ctranslate2", "vllm"] = "transformers"
    """The library that decodes: CTranslate2 for encoder-decoders, vLLM for LLMs, each only if its
    output is the same."""


class ImportedRows(Settings, frozen=True, kw_only=True):
    """Generated rows of a file, for training only.

    An id is that of the train row it was made from (``train_12``, or ``train_12@2`` where there are
    several), or any other for rows made from none.
    """

    file: str
    """In the format of train; relative to the data folder."""
    origin: str
    """The model or service that wrote them: the contest's forbidden sources are looked for here."""
    weight: AboveZero = 1.0
    """How often each row occurs in an epoch; of 0.5, half the rows do."""
    sha256: str | None = None
    """Of the file; filled in where a run is created."""


class DataSettings(Settings, frozen=True, kw_only=True):
    """Which rows are trained on and how they are changed; dev and test stay as they are.

    In this order: ``drop`` and ``near_duplicates`` take rows out of train, a fold is held out,
    generated rows are added.
    """

    folds: Annotated[int, Meta(ge=2)] | None = None
    """Number of folds of train; near-duplicate dialogues are in the same one."""
    fold: Positive | None = None
    """The fold that is held out and predicted, from 1."""
    with_dev: bool = False
    """Train on dev, too: such a run has no dev score."""
    drop: tuple[Literal["unknown-speaker", "unfinished-summary", "long-summary"], ...] = ()
    """Rules of ``data.training_rows`` for rows that are left out."""
    near_duplicates: PositiveFraction | None = None
    """Keep the first of dialogues that are at least so similar."""
    speakers: Literal["shuffle", "rename"] | None = None
    """Of augmented copies: exchange the row's speaker tags, or draw others."""
    drop_turns: Annotated[float, Meta(gt=0.0, lt=1.0)] | None = None
    """Of augmented copies: share of turns that are left out."""
    augmented_weight: AboveZero = 1.0
    """How often each row has an augmented copy in an epoch, where one is asked for."""
    paraphrases: ImportedRows | None = None
    """Rows of train in other words."""
    back_translations: ImportedRows | None = None
    """Rows of train, translated and back."""
    synthetic: ImportedRows | None = None
    """Dialogues and summaries that a model wrote."""
    seed: int = 42
    """Of all random choices here, so that runs with other ``train.seed`` have the same rows."""

    def __post_init__(self) -> None:
        if (self.folds is None) != (self.fold is None) or (self.fold or 0) > (self.folds or 0):
            raise broken_rule("fold")
        if self.with_dev and self.folds is not None:
            raise broken_rule("fold-with-dev")

    @property
    def imported(self) -> dict[str, ImportedRows]:
        """The files of generated rows, by what they are."""
        kinds = {
            "paraphrase": self.paraphrases,
            "back-translation": self.back_translations,
            "synthetic": self.synthetic,
        }
        return {kind: rows for kind, rows in kinds.items() if rows is not None}


class SearchRange(Settings, frozen=True, kw_only=True):
    """The values of one setting that a study may try: between two bounds, or a list."""

    low: float | None = None
    """Lower bound."""
    high: float | None = None
    """Upper bound."""
    log: bool = False
    """Uniform in the logarithm, as learning rates are searched."""
    values: tuple[float, ...] = ()
    """These values instead of bounds."""

    def __post_init__(self) -> None:
        if self.values:
            if self.low is not None or self.high is not None:
                raise broken_rule("range-or-values")
        elif self.low is None or self.high is None or not self.low < self.high:
            raise broken_rule("range")
        elif self.log and self.low <= 0:
            raise broken_rule("range-log")


class SearchSettings(Settings, frozen=True, kw_only=True):
    """What a study varies; where no range is given, the usual ones of the method.

    Each is named like the setting that it varies, but for ``alpha_ratio``: ``lora_alpha`` over
    ``r``.
    """

    learning_rate: SearchRange | None = None
    epochs: SearchRange | None = None
    batch_size: SearchRange | None = None
    warmup_ratio: SearchRange | None = None
    weight_decay: SearchRange | None = None
    label_smoothing: SearchRange | None = None
    neftune_noise_alpha: SearchRange | None = None
    r: SearchRange | None = None
    alpha_ratio: SearchRange | None = None
    lora_dropout: SearchRange | None = None
    prune: bool = True
    """Stop a trial whose evaluations in training are clearly behind those of earlier trials."""


LONGEST_NAME = 80


class Recipe(Settings, frozen=True, kw_only=True):
    """Everything that decides what a run trains and predicts."""

    name: str
    """Name of the recipe: that of its file."""
    engine: str
    """``lead`` copies first turns, ``seq2seq`` is an encoder-decoder, ``qlora`` a chat model."""
    about: str = ""
    """A one-line description."""
    file: str | None = None
    """The recipe's file as it was named on the command line; ``None`` for a bundled one."""
    model: ModelSettings = ModelSettings()
    base: PublishedBase = PublishedBase()
    lora: LoraSettings | None = None
    """Adapters; without this section all weights are trained."""
    prompt: PromptSettings = PromptSettings(style="source")
    data: DataSettings = DataSettings()
    train: TrainSettings = TrainSettings()
    align: AlignSettings | None = None
    """Metric-aware training after the supervised one; none without this section."""
    evaluate: EvaluateSettings = EvaluateSettings()
    decode: Decode = Greedy()
    generate: GenerateSettings = GenerateSettings()
    search: SearchSettings | None = None
    """What a study of this recipe varies; it decides nothing that a run computes."""

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.name.isprintable() or "/" in self.name:
            raise broken_rule("name")
        if len(self.name) > LONGEST_NAME:
            raise broken_rule("name-length", most=LONGEST_NAME, found=len(self.name))
        self._check_training()
        if self.prompt.examples and (self.train.epochs or self.prompt.style != "chat"):
            raise broken_rule("examples")
        self._check_generate()
        if self.align is not None:
            self._check_align()

    def _check_generate(self) -> None:
        if self.generate.weights == "merged" and self.lora is None:
            raise broken_rule("merged")
        if self.generate.library == "ctranslate2" and self.prompt.style != "source":
            raise broken_rule("ctranslate2")
        if self.generate.library == "vllm" and self.prompt.style == "source":
            raise broken_rule("vllm")

    def _check_align(self) -> None:
        if not self.train.epochs:
            raise broken_rule("align-untrained")
        if self.lora is not None and self.lora.init_lora_weights == "pissa":
            raise broken_rule("align-pissa")

    def _check_training(self) -> None:
        if self.model.quantisation is not None and self.lora is None:
            raise broken_rule("quantised")
        if self.lora is not None:
            self._check_adapters(self.lora)
        if self.data.with_dev and self.evaluate.every_epochs is not None:
            raise broken_rule("with-dev-evaluated")

    def _check_adapters(self, lora: LoraSettings) -> None:
        if lora.init_lora_weights == "pissa" and self.model.quantisation is not None:
            raise broken_rule("pissa-quantised")
        if lora.use_dora and self.train.kernels == "fused":
            raise broken_rule("dora-fused")
        if self.train.layerwise_lr_decay is not None:
            raise broken_rule("layerwise-adapters")

    @property
    def argument(self) -> str:
        """What names the recipe on the command line: its file, or the name of a bundled one."""
        return shlex.quote(self.file or self.name)

    @property
    def supervised(self) -> "Recipe":
        """The recipe of supervised training alone."""
        return msgspec.structs.replace(self, align=None)

    @property
    def aligning(self) -> "Recipe":
        """The recipe whose [train] and [evaluate] are those of metric-aware training."""
        if self.align is None:
            return self
        align, metric = self.align, self.evaluate.metric
        train = msgspec.structs.replace(
            self.train,
            epochs=align.epochs,
            max_steps=align.max_steps,
            batch_size=align.batch_size,
            micro_batch_size=None,
            learning_rate=align.learning_rate,
            warmup_ratio=align.warmup_ratio,
            label_smoothing=0.0,
            neftune_noise_alpha=None,
            rdrop_alpha=None,
            ema_decay=None,
            packing="off",
        )
        evaluate = msgspec.structs.replace(
            self.evaluate,
            at_start=True,
            every_epochs=1,
            metric=DevMetric.ROUGE_MEAN if metric is DevMetric.EVAL_LOSS else metric,
        )
        return msgspec.structs.replace(self, train=train, evaluate=evaluate)

    @property
    def learning_hash(self) -> str:
        """SHA-256 of what decides the weights: no decoding, no ``RESUMABLE_SETTINGS``, no text."""
        inference = {"decode": Greedy(), "generate": GenerateSettings()}
        plain = _without_description(msgspec.structs.replace(self, **inference))
        for name in RESUMABLE_SETTINGS:
            del plain["train"][name]
        return _sha256(plain)

    @property
    def full_hash(self) -> str:
        """SHA-256 of every setting but ``about``, ``file``, ``base`` and ``search``."""
        return _sha256(_without_description(self))


LATER_SETTINGS = (
    *(("evaluate", name) for name in ("dev_half", "max_new_tokens")),
    *(("prompt", name) for name in ("turn_format", "speaker_names")),
    *(("lora", name) for name in ("use_rslora", "use_dora")),
    *(("lora", name) for name in ("init_lora_weights", "loraplus_lr_ratio")),
    *(("train", name) for name in ("min_lr_rate", "layerwise_lr_decay", "optim")),
    *(("train", name) for name in ("neftune_noise_alpha", "rdrop_alpha", "ema_decay")),
)
"""Settings (section, name) that came after format 2 of runs. A hash has them only where they are
not the default, so that the runs of earlier versions are found and continued."""


def _without_description(recipe: Recipe) -> dict[str, Any]:
    """Return what a recipe sets, without what only describes it."""
    found: dict[str, Any] = msgspec.to_builtins(recipe)
    for name in ("about", "file", "base", "search"):
        del found[name]
    if recipe.data == DataSettings():
        del found["data"]
    for section, name in LATER_SETTINGS:
        settings = getattr(recipe, section)
        known = msgspec.structs.fields(settings) if settings is not None else ()
        if any(each.name == name and each.default == getattr(settings, name) for each in known):
            del found[section][name]
    if recipe.align is None:  # as before there was this table
        del found["align"]
    return found


def _sha256(plain: dict[str, Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(plain, order="sorted")).hexdigest()
