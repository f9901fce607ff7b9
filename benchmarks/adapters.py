"""How much faster the engine makes an optimizer step of LoRA than PEFT, on one CPU thread.

    python benchmarks/adapters.py [--steps N] [--tiny]

A Qwen3 with random weights, LoRA of rank 16 on all seven projections, no dropout. The engine's step
is that of a run: batch, loss, backward pass, clipping, AdamW. PEFT's is the usual loop around the
same model: loss of the same tokens, backward pass, clipping, PyTorch's fused AdamW. Both train from
the same start on the same rows in turns, and their losses have to stay the same. Narrow models are
bound by operators and Python, as one of any width is on a fast card; the wider ones show where
arithmetic takes over. CPU seconds, so that other work on the machine counts little.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import history

import torch  # noqa: TID253 -- a benchmark loads what it compares
from yoyak.config.schema import TrainSettings
from yoyak.engine.device import silence_libraries
from yoyak.engine.models.model import ModelBundle, trainable_parameters
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.engine.training.optimizer import ModelOptimizer

CASES = ((24, 64), (24, 128), (12, 256))
"""Layers and width."""
LENGTH = 64
SETTINGS = TrainSettings(learning_rate=1e-4)
LARGEST_DISTANCE = 1e-4
"""Of the two losses of a step, relative: both are float32, and rounding adds up over steps."""


def build(layers: int, width: int) -> torch.nn.Module:
    """Return the model with its adapters, B not zero; the same one each time."""
    from peft import LoraConfig, get_peft_model
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=256,
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=width // 4,
    )
    model = Qwen3ForCausalLM(config).requires_grad_(requires_grad=False)
    lora = LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear")
    adapted: torch.nn.Module = get_peft_model(model, lora)
    for name, value in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.02)
    return adapted.train()


class Step(NamedTuple):
    """What an optimizer step took, in CPU seconds, and its loss per token."""

    seconds: float
    loss: float


def engine_steps(model: torch.nn.Module, rows: Sequence[EncodedRow]) -> Iterator[Step]:
    """Make one optimizer step a row as the engine makes it."""
    tokenizer: Any = SimpleNamespace(pad_id=0)
    bundle = ModelBundle(model, tokenizer, "causal", torch.device("cpu"))
    optimizer = ModelOptimizer(bundle, SETTINGS)
    for row in rows:
        start = time.process_time()
        loss = optimizer.gradient([[row]])
        optimizer.clip()
        optimizer.step(SETTINGS.learning_rate)
        yield Step(time.process_time() - start, loss)


def peft_steps(model: torch.nn.Module, rows: Sequence[EncodedRow]) -> Iterator[Step]:
    """Make one optimizer step a row in the usual loop around PEFT's model."""
    named = trainable_parameters(model).values()
    optimizer = torch.optim.AdamW(
        named, lr=SETTINGS.learning_rate, weight_decay=SETTINGS.weight_decay, fused=True
    )
    for row in rows:
        start = time.process_time()
        ids = torch.tensor([[*row.source_ids, *row.answer_ids]])
        logits = model(input_ids=ids[:, :-1], use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits[0].float(), ids[0, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(named, SETTINGS.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        found = float(loss.detach())
        yield Step(time.process_time() - start, found)


def compare(layers: int, width: int, steps: int) -> tuple[list[Step], list[Step]]:
    """Return the steps of PEFT and of the engine, made in turns, without three to warm up."""
    generator = torch.Generator().manual_seed(1)
    rows = [
        EncodedRow(str(number), tuple(ids[:1]), tuple(ids[1:]), shortened=False)
        for number in range(steps + 3)
        for ids in [torch.randint(1, 256, (LENGTH + 1,), generator=generator).tolist()]
    ]
    sides = [made(build(layers, width), rows) for made in (peft_steps, engine_steps)]
    pairs = list(zip(*sides, strict=True))[3:]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def main() -> None:
    """Print a JSON line a case, times in CPU seconds of a step; record the ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--tiny", action="store_true", help="two layers, two steps: for tests")
    given = parser.parse_args()
    silence_libraries()
    torch.set_num_threads(1)
    for layers, width in ((2, 64),) if given.tiny else CASES:
        plain, fused = compare(layers, width, 2 if given.tiny else given.steps)
        apart = max(
            abs(one.loss - two.loss) / one.loss for one, two in zip(plain, fused, strict=True)
        )
        if apart > LARGEST_DISTANCE:
            raise SystemExit(f"the losses of the two sides are {apart:.1e} apart")
        slow, fast = ([step.seconds for step in side] for side in (plain, fused))
        ratio, spread = history.compare_times(slow, fast)
        found = {"layers": layers, "width": width, "peft": min(slow), "fused": min(fast)}
        found |= {"losses_apart": apart}
        print(json.dumps(found | {"ratio": ratio, "spread": spread}))
        history.record(f"adapters.{layers}x{width}", ratio, spread)


if __name__ == "__main__":
    main()
