"""The real models' architectures with random weights, and rows as long as the contest's.

Nothing is downloaded: shapes are the published ones ([base.config] of the recipes), weights are
drawn and quantised one layer at a time, so that an 8B model never stands in memory whole, and rows
are random ids whose lengths follow the dialogues' (log-normal through their mean and 99th
percentile, counted with each tokenizer on 499 dialogues).
"""

import math
import random
from typing import Any, NamedTuple

import transformers  # noqa: TID253 -- as above
from tokenizers import Tokenizer, models

import torch  # noqa: TID253 -- a benchmark loads what it measures
from yoyak.config.schema import Recipe
from yoyak.engine.device import Hardware, precision_for
from yoyak.engine.models.load import forbid_cpu_repacking
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.planning.model_shapes import ModelShape, shape_of_config

PROMPT_TOKENS = 50
"""Of the system message, the instruction and the template around a dialogue."""
TINY_LAYERS, TINY_WIDTH, TINY_VOCABULARY = 2, 64, 512


class Spread(NamedTuple):
    """Mean and 99th percentile of a length in tokens."""

    mean: float
    p99: float

    def draw(self, luck: random.Random) -> int:
        # ln p99 - ln mean = z s - s²/2 gives the log-normal's s; the median follows from the mean.
        z = 2.326
        s = z - math.sqrt(z * z - 2 * math.log(self.p99 / self.mean))
        return max(2, round(luck.lognormvariate(math.log(self.mean) - s * s / 2, s)))


LENGTHS = {
    "bart": (Spread(197, 451), Spread(38, 95)),
    "llama": (Spread(218, 556), Spread(44, 99)),
    "qwen2": (Spread(240, 591), Spread(48, 120)),
    "qwen3": (Spread(240, 591), Spread(48, 120)),
}
"""Dialogue and summary, by family."""


class Ids(NamedTuple):
    """What batches ask of a tokenizer."""

    pad_id: int
    decoder_start_id: int | None
    stop_id: int


IDS = Ids(pad_id=0, decoder_start_id=2, stop_id=1)


def tiny(shape: ModelShape, vocabulary: int = TINY_VOCABULARY) -> ModelShape:
    """The same family at a size for tests; widths that 4-bit blocks of 64 divide."""
    if shape.family == "bart":
        stacks = {
            f"{stack}_{name}": value
            for stack in ("encoder", "decoder")
            for name, value in (
                ("layers", TINY_LAYERS), ("attention_heads", 4), ("ffn_dim", 2 * TINY_WIDTH)
            )
        }  # fmt: skip
        sizes = stacks | {"d_model": TINY_WIDTH, "max_position_embeddings": shape.positions - 2}
    else:
        sizes = {
            "hidden_size": TINY_WIDTH,
            "num_hidden_layers": TINY_LAYERS,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "intermediate_size": 2 * TINY_WIDTH,
            "tie_word_embeddings": shape.tied,
        }
    if shape.family in {"llama", "qwen3"}:  # a Qwen2's heads share the width
        sizes["head_dim"] = 32
    small = shape_of_config({"model_type": shape.family, "vocab_size": vocabulary, **sizes})
    assert small is not None
    return small


def draw_rows(shape: ModelShape, count: int, *, shrink: int = 1) -> list[EncodedRow]:
    """Rows of random ids; ``shrink`` divides their lengths."""
    luck = random.Random(42)
    dialogue, summary = LENGTHS[shape.family]
    extra = 2 if shape.family == "bart" else PROMPT_TOKENS

    def ids(length: int) -> tuple[int, ...]:
        return tuple(luck.randrange(4, shape.vocabulary) for _ in range(max(2, length // shrink)))

    found = []
    for place in range(count):
        source = ids(min(dialogue.draw(luck) + extra, 1024))
        found.append(EncodedRow(str(place), source, (*ids(summary.draw(luck)), IDS.stop_id), False))
    return found


def config_of(shape: ModelShape) -> transformers.PretrainedConfig:
    shared = {
        "vocab_size": shape.vocabulary,
        "pad_token_id": IDS.pad_id,
        "bos_token_id": 3,
        "eos_token_id": IDS.stop_id,
    }
    if shape.family == "bart":
        return transformers.BartConfig(
            d_model=shape.width,
            encoder_layers=shape.layers,
            decoder_layers=shape.layers,
            encoder_attention_heads=shape.heads,
            decoder_attention_heads=shape.heads,
            encoder_ffn_dim=shape.mlp_width,
            decoder_ffn_dim=shape.mlp_width,
            max_position_embeddings=shape.positions - 2,
            decoder_start_token_id=IDS.decoder_start_id,
            forced_eos_token_id=None,
            **shared,
        )
    kinds = {
        "llama": transformers.LlamaConfig,
        "qwen2": transformers.Qwen2Config,
        "qwen3": transformers.Qwen3Config,
    }
    if shape.family != "qwen2":  # a Qwen2's heads are as wide as width and count say
        shared["head_dim"] = shape.head_width
    return kinds[shape.family](
        hidden_size=shape.width,
        intermediate_size=shape.mlp_width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=8192,
        tie_word_embeddings=shape.tied,
        **shared,
    )


def tokenizer_of(shape: ModelShape) -> transformers.PreTrainedTokenizerFast:
    """A tokenizer with a word for each id, for peers that ask for one."""
    words = {"<pad>": IDS.pad_id, "</s>": IDS.stop_id, "<unk>": 2, "<s>": 3}
    words |= {f"t{number}": number for number in range(4, shape.vocabulary)}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="<unk>")),
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        bos_token="<s>",
        model_max_length=8192,
    )


def build(shape: ModelShape, recipe: Recipe, hardware: Hardware) -> Any:
    """The model on its device, in the formats the engine would load it in."""
    dtype = precision_for(recipe, hardware).base
    config = config_of(shape)
    torch.manual_seed(42)
    if shape.family == "bart":
        return transformers.BartForConditionalGeneration(config).to(hardware.device, dtype)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(
            config, dtype=dtype, attn_implementation="sdpa"
        )
    for module in list(model.model.layers):
        if recipe.model.quantisation is not None:
            _quantise(module, dtype, hardware.device)
        _fill(module, dtype, hardware.device)
    _fill(model, dtype, hardware.device)
    rotary = model.model.rotary_emb
    with hardware.device:  # its frequencies are no parameters: they are computed when it is made
        model.model.rotary_emb = type(rotary)(config)
    model.tie_weights()
    if recipe.model.quantisation is not None:
        model.is_loaded_in_4bit = True  # PEFT asks for it
    forbid_cpu_repacking(model)
    return model


def _quantise(block: torch.nn.Module, dtype: torch.dtype, device: torch.device) -> None:
    import bitsandbytes as bnb

    for name, linear in list(block.named_modules()):
        if not isinstance(linear, torch.nn.Linear):
            continue
        outputs, inputs = linear.weight.shape
        drawn = torch.empty(outputs, inputs, dtype=dtype, device=device).normal_(0, 0.02)
        with torch.device("meta"):
            packed = bnb.nn.Linear4bit(inputs, outputs, linear.bias is not None, dtype, True, "nf4")
        settings = {"requires_grad": False, "compress_statistics": True, "quant_type": "nf4"}
        packed.weight = bnb.nn.Params4bit(drawn, **settings, module=packed).to(device)
        block.set_submodule(name, packed)


def _fill(module: torch.nn.Module, dtype: torch.dtype, device: torch.device) -> None:
    """Random matrices, norms of one, biases of nought, wherever there is only a shape so far."""
    for child in module.modules():
        for name, value in list(child.named_parameters(recurse=False)):
            if value.device.type != "meta":
                continue
            filled = torch.empty(value.shape, dtype=dtype, device=device)
            if value.ndim > 1:
                filled.normal_(0, 0.02)
            else:
                filled.fill_(0.0 if name == "bias" else 1.0)
            setattr(child, name, torch.nn.Parameter(filled, requires_grad=False))


def needed_flops(shape: ModelShape, recipe: Recipe, rows: list[EncodedRow]) -> float:
    """Of matrix products that the rows need: no padding, nothing twice, head on answers only.

    Attention's own products are left out; at 300 tokens they are about a hundredth.
    """
    source = sum(len(row.source_ids) for row in rows)
    answer = sum(len(row.answer_ids) for row in rows)
    head = shape.vocabulary * shape.width * answer
    if shape.family == "bart":
        square, feed = shape.width**2, 2 * shape.width * shape.mlp_width
        encoder = shape.layers * (4 * square + feed + 2 * square)  # and the decoder's cross keys
        decoder = shape.layers * (6 * square + feed)
        return 6.0 * (encoder * source + decoder * answer + head)
    frozen = shape.linear_parameters * (source + answer) + head
    rank = recipe.lora.r if recipe.lora else 0
    return 4.0 * frozen + 6.0 * shape.lora_parameters(rank) * (source + answer)
