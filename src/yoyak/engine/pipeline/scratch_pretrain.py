"""Teaches a causal model from scratch the language of train's texts, before anything is fine-tuned.

Plain next-token prediction over dialogues and summaries as separate texts, which is what real
bases have behind them: no prompt, no template, no summary beside its dialogue.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import TrainSettings
from yoyak.engine.tokenization.tokenizer import ModelTokenizer
from yoyak.engine.training.optimizer import build_optimizer, learning_rate, set_lr
from yoyak.engine.training.sampler import epoch_order
from yoyak.values import Split

if TYPE_CHECKING:
    from transformers import PreTrainedModel

BLOCK_TOKENS = 128
BATCH_BLOCKS = 16
SETTINGS = TrainSettings(learning_rate=4e-3, warmup_ratio=0.05, weight_decay=0.01)


def documents(tokenizer: ModelTokenizer, train: Split) -> list[list[int]]:
    """Every dialogue and every summary of train as ids, each with a stop behind it."""
    texts = [text for row in train.dialogues for text in (row.text, *row.references)]
    return [[*tokenizer.encode_answer(text), tokenizer.stop_id] for text in texts]


def pretrain(
    model: "PreTrainedModel", texts: Sequence[Sequence[int]], epochs: int, seed: int
) -> None:
    """So many passes over the texts, packed into blocks; the same weights for the same input."""
    steps = [batch for epoch in range(epochs) for batch in _batches(texts, seed, epoch)]
    named = dict(model.named_parameters())
    optimizer = build_optimizer(named, SETTINGS)
    model.train()
    for step, batch in enumerate(steps):
        logits = model(input_ids=batch[:, :-1], use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(named.values(), SETTINGS.max_grad_norm)
        set_lr(optimizer, learning_rate(step, len(steps), SETTINGS))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    model.train(False)


def _batches(texts: Sequence[Sequence[int]], seed: int, epoch: int) -> Iterator[torch.Tensor]:
    """Batches [blocks, tokens + 1] of the texts in this epoch's order; a short rest is left out."""
    stream = [token for text in epoch_order(len(texts), seed, epoch) for token in texts[text]]
    size = min(BLOCK_TOKENS + 1, len(stream))
    blocks = torch.tensor(stream[: len(stream) // size * size]).view(-1, size)
    yield from torch.split(blocks, BATCH_BLOCKS)
