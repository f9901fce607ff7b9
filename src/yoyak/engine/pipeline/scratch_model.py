"""Models from scratch: the real architectures, small, with random weights that depend on the seed.

They are written to a folder and read back like any base model, so that a toy goes down the very
path of koBART and the LLMs: loaded from disk, quantised while loading, resumed on the same base.
A causal one may be pretrained on train's texts first, for adapters bend what a base knows and
cannot teach a random one to speak.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import PromptSettings, Recipe, ScratchSettings
from yoyak.engine.pipeline.scratch_pretrain import documents, pretrain
from yoyak.engine.seed import seed_all
from yoyak.engine.tokenization.tokenizer import ModelTokenizer
from yoyak.engine.tokenization.train_tokenizer import train_tokenizer
from yoyak.files import atomic
from yoyak.values import Split

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

SPREAD = 0.1
"""Standard deviation of the random weights: a toy learns next to nothing from the usual 0.02."""


def ensure_base(recipe: Recipe, scratch: ScratchSettings, train: Split, folder: Path) -> None:
    """Builds model and tokenizer into ``folder``, or leaves them there if they are whole.

    The same recipe and data give the same bytes.
    """
    if atomic.verify_folder(folder) is not None:
        return
    tokenizer = train_tokenizer(_texts(train, recipe.prompt), recipe)
    model = build(config_for(scratch, tokenizer, recipe.prompt), recipe.train.seed)
    if scratch.pretrain_epochs:
        pretrain(model, documents(tokenizer, train), scratch.pretrain_epochs, recipe.train.seed)
    with atomic.whole_folder(folder) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save(temporary)


def build(config: "PretrainedConfig", seed: int) -> "PreTrainedModel":
    """A model of that configuration in float32; random weights, the same for the same seed."""
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    automatic: Any = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    with torch.random.fork_rng():
        seed_all(seed, "weights")
        model: PreTrainedModel = automatic.from_config(config, dtype=torch.float32)
    return model


def config_for(
    scratch: ScratchSettings, tokenizer: ModelTokenizer, prompt: PromptSettings
) -> "PretrainedConfig":
    """The configuration of a small model of the named architecture; embeddings tied."""
    if scratch.architecture == "bart":
        return _bart(scratch, tokenizer, prompt)
    from transformers import LlamaConfig, Qwen2Config, Qwen3Config

    kinds = {"llama": LlamaConfig, "qwen2": Qwen2Config, "qwen3": Qwen3Config}
    config: PretrainedConfig = kinds[scratch.architecture](
        # Real embeddings have spare rows too: Qwen's 151,936 for 151,669 tokens.
        vocab_size=_round_up(tokenizer.vocab_size, 64),
        hidden_size=scratch.width,
        intermediate_size=4 * scratch.width,
        num_hidden_layers=scratch.layers,
        num_attention_heads=scratch.heads,
        num_key_value_heads=max(1, scratch.heads // 2),
        head_dim=scratch.width // scratch.heads,
        max_position_embeddings=2 * _positions(prompt),
        tie_word_embeddings=True,
        initializer_range=SPREAD,
        pad_token_id=tokenizer.pad_id,
        eos_token_id=tokenizer.stop_id,
        bos_token_id=tokenizer.bos_id,
    )
    return config


def _bart(
    scratch: ScratchSettings, tokenizer: ModelTokenizer, prompt: PromptSettings
) -> "PretrainedConfig":
    from transformers import BartConfig

    return BartConfig(
        vocab_size=tokenizer.vocab_size,
        d_model=scratch.width,
        encoder_layers=scratch.layers,
        decoder_layers=scratch.layers,
        encoder_attention_heads=scratch.heads,
        decoder_attention_heads=scratch.heads,
        encoder_ffn_dim=4 * scratch.width,
        decoder_ffn_dim=4 * scratch.width,
        max_position_embeddings=_positions(prompt),
        pad_token_id=tokenizer.pad_id,
        bos_token_id=tokenizer.bos_id,
        eos_token_id=tokenizer.stop_id,
        decoder_start_token_id=tokenizer.decoder_start_id,
        forced_eos_token_id=None,
        init_std=SPREAD,
    )


def _positions(prompt: PromptSettings) -> int:
    """Room for the longest prompt with the longest answer and its margin."""
    return _round_up(prompt.max_source_tokens + 2 * prompt.max_summary_tokens, 64)


def _round_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


def _texts(train: Split, prompt: PromptSettings) -> Iterator[str]:
    yield from (prompt.system, prompt.instruction)
    for dialogue in train.dialogues:
        yield dialogue.text
        yield from dialogue.references
