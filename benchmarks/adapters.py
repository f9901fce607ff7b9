"""How much faster a training step is with fused LoRA layers than with PEFT's, on one CPU thread.

    python benchmarks/adapters.py [--steps N] [--tiny]

A Qwen3 with random weights, LoRA of rank 16 on all seven projections, no dropout: loss, backward
pass and AdamW, both sides in turns on the same rows. Narrow models are bound by operators
and Python, as one of any width is on a fast card; the wider ones show where arithmetic takes over.
CPU seconds, so that other work on the machine counts little.
"""

import argparse
import json
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import history

import torch  # noqa: TID253 -- a benchmark loads what it compares
from yoyak.engine.device import silence_libraries
from yoyak.engine.models.kernels import KernelOptions, KernelPatches
from yoyak.engine.models.model import ModelBundle, trainable_parameters

CASES = ((24, 64), (24, 128), (12, 256))
"""Layers and width."""
ROWS, LENGTH = 1, 64


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


def compare(layers: int, width: int, steps: int) -> tuple[list[float], list[float]]:
    """Return the CPU seconds of each step, PEFT's and fused, after three to warm up."""
    model = build(layers, width)
    named = trainable_parameters(model)
    optimizer = torch.optim.AdamW(named.values(), lr=1e-5, fused=True)
    bundle = ModelBundle(model, None, "causal", torch.device("cpu"))  # type: ignore[arg-type]
    sides = [KernelPatches(bundle, KernelOptions(fused=fused)) for fused in (False, True)]
    ids = torch.randint(0, 256, (ROWS, LENGTH))
    spent: tuple[list[float], list[float]] = ([], [])
    for _ in range(steps + 3):
        for side, patches in enumerate(sides):
            start = time.process_time()
            with patches.active(packed=False):
                model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            spent[side].append(time.process_time() - start)
    return spent[0][3:], spent[1][3:]


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
        ratio, spread = history.compare_times(plain, fused)
        found = {"layers": layers, "width": width, "peft": min(plain), "fused": min(fused)}
        print(json.dumps(found | {"ratio": ratio, "spread": spread}))
        history.record(f"adapters.{layers}x{width}", ratio, spread)


if __name__ == "__main__":
    main()
