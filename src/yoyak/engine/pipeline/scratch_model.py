"""Build toy base models: the real architectures, small, with random weights from the seed.

They are written to a folder and loaded like any base model, so that a toy takes the same code path
as koBART and the LLMs: loaded from disk, quantised while loading, resumed on the same base. A
causal one may be pretrained on the training texts first, since adapters cannot teach a random model
to generate text.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import PromptSettings, Recipe, ScratchSettings, TrainSettings
from yoyak.engine.seed import seed_all
from yoyak.engine.tokenization.tokenizer import ModelTokenizer
from yoyak.engine.tokenization.train_tokenizer import train_tokenizer
from yoyak.engine.training.adamw import build_optimizer, set_lr
from yoyak.engine.training.sampler import epoch_order
from yoyak.engine.training.schedule import learning_rate
from yoyak.files import atomic
from yoyak.values import Split

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

SPREAD = 0.1
"""Standard deviation of the random weights: with the usual 0.02 a toy hardly learns."""

BATCH_ROWS = 8
_IGNORED = -100
"""Not to be predicted: what stands before the summary, and padding."""

PRETRAIN_SETTINGS = TrainSettings(learning_rate=6e-3, warmup_ratio=0.05, weight_decay=0.01)


def ensure_base(recipe: Recipe, scratch: ScratchSettings, train: Split, folder: Path) -> None:
    """Build model and tokenizer into ``folder``, unless they are there and intact.

    The same recipe and data give the same bytes.
    """
    if atomic.verify_folder(folder) is not None:
        return
    tokenizer = train_tokenizer(_texts(train, recipe.prompt), recipe)
    model = build(config_for(scratch, tokenizer, recipe.prompt), recipe.train.seed)
    if scratch.pretrain_epochs:
        pretrain(model, examples(tokenizer, train), scratch.pretrain_epochs, recipe.train.seed)
    with atomic.whole_folder(folder) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save(temporary)


def build(config: "PretrainedConfig", seed: int) -> "PreTrainedModel":
    """Build a float32 model of that configuration; the random weights depend on the seed only."""
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    automatic: Any = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    with torch.random.fork_rng():
        seed_all(seed, "weights")
        model: PreTrainedModel = automatic.from_config(config, dtype=torch.float32)
    return model


def config_for(
    scratch: ScratchSettings, tokenizer: ModelTokenizer, prompt: PromptSettings
) -> "PretrainedConfig":
    """Return the configuration of a small model of the named architecture; embeddings tied."""
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
        dropout=0.0,  # as the causal ones: a toy ends before it could learn anything by heart
        init_std=SPREAD,
    )


def _positions(prompt: PromptSettings) -> int:
    """Return the positions for the longest prompt, the longest answer and a margin."""
    return _round_up(prompt.max_source_tokens + 2 * prompt.max_summary_tokens, 64)


def _round_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


def _texts(train: Split, prompt: PromptSettings) -> Iterator[str]:
    yield from (prompt.system, prompt.instruction)
    for dialogue in train.dialogues:
        yield dialogue.text
        yield from dialogue.references


def examples(tokenizer: ModelTokenizer, train: Split) -> list[tuple[list[int], list[int]]]:
    """Return the ids of each dialogue of train, ended by a line break, and of its summary and EOS.

    No prompt and no template stands there: those are left for fine-tuning to learn.
    """
    return [
        (
            tokenizer.encode_answer(f"{row.text}\n"),
            [*tokenizer.encode_answer(text), tokenizer.stop_id],
        )
        for row in train.dialogues
        for text in row.references
    ]


def pretrain(
    model: "PreTrainedModel",
    pairs: Sequence[tuple[list[int], list[int]]],
    epochs: int,
    seed: int,
) -> None:
    """Train on next-token prediction of the summaries, each after its dialogue; deterministic.

    Dialogues are read but not predicted: that would take most of the time, and what a toy has to
    find out is how to copy from them.
    """
    steps = [batch for epoch in range(epochs) for batch in _batches(pairs, seed, epoch)]
    named = dict(model.named_parameters())
    optimizer = build_optimizer(named, PRETRAIN_SETTINGS)
    model.train()
    for step, (ids, targets) in enumerate(steps):
        hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
        predicted = targets != _IGNORED
        logits = model.get_output_embeddings()(hidden[predicted])  # type: ignore[no-untyped-call]
        loss = torch.nn.functional.cross_entropy(logits, targets[predicted])
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(named.values(), PRETRAIN_SETTINGS.max_grad_norm)
        set_lr(optimizer, learning_rate(step, len(steps), PRETRAIN_SETTINGS))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    model.train(False)


def _batches(
    pairs: Sequence[tuple[list[int], list[int]]], seed: int, epoch: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield ids and the tokens to predict after them, both [rows, tokens], of the shuffled pairs.

    Rows are padded on the right, where a causal model does not look; pairs of similar length go
    together.
    """
    order = list(epoch_order(len(pairs), seed, epoch))
    windows = (order[at : at + 8 * BATCH_ROWS] for at in range(0, len(order), 8 * BATCH_ROWS))
    sorted_by_length = [
        at for window in windows for at in sorted(window, key=lambda at: len(pairs[at][0]))
    ]
    for at in range(0, len(order), BATCH_ROWS):
        rows = [pairs[chosen] for chosen in sorted_by_length[at : at + BATCH_ROWS]]
        ids = [torch.tensor([*dialogue, *summary]) for dialogue, summary in rows]
        targets = [row.clone() for row in ids]
        for target, (dialogue, _) in zip(targets, rows, strict=True):
            target[: len(dialogue)] = _IGNORED
        padded = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True)
        wanted = torch.nn.utils.rnn.pad_sequence(targets, batch_first=True, padding_value=_IGNORED)
        yield padded[:, :-1], wanted[:, 1:]
