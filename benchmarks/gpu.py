"""How fast and how large training is at full size, on any CUDA machine, without a model hub.

    python benchmarks/gpu.py --model llama3-ko-8b --budget-gb 24 [--case ours] [--steps N]
    python benchmarks/gpu.py --tiny          # every model and case, small, on the CPU

The published architecture with random weights (fullsize.py), 8 rows an optimiser step, the same
rows for every case, each in a process of its own. One JSON line a case; one that fails says how.
Each is measured three times; the line has the median and the spread.

ours          the engine: token budget, grouped lengths, head on supervised places, recomputation
              only after memory ran out; the recipe's dropout
ours-no-drop  the same with LoRA dropout 0
ours-unfused  the same with PEFT's layers instead of fused ones
ours-packed   the same with packed rows and varlen attention (a block-diagonal mask on a CPU)
ours-packed-no-drop  both; what Unsloth trains
ours-recomputed-no-drop  both, and the activations of every block recomputed (checkpointing)
ours-liger    the same with Liger's norms, SwiGLU and rotary positions, where it is installed
ours-compiled the same with each block compiled; warm-up takes the compiler's minutes
team          micro-batch 4, 2 or 1 as the recipe says, padding, recomputation always, all logits
trl           SFTTrainer with its defaults and the same micro-batch, where it is installed
unsloth       Unsloth under SFTTrainer, dropout 0, where it is installed (peer_unsloth.py)

Needs torch, transformers, peft, bitsandbytes and msgspec, and ``PYTHONPATH=src``.
"""

import argparse
import json
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import fullsize
import msgspec
from gpu_cases import (
    Bench,
    Run,
    compiled,
    liger,
    ours,
    packed,
    recomputed,
    team,
    timed,
    trl,
    unfused,
    unsloth,
)
from on_card import GB, Rates, Ratios, parse, run_cases
from plain import machine

import torch  # noqa: TID253 -- a benchmark loads what it measures
from yoyak.config.load import resolve
from yoyak.config.schema import Recipe
from yoyak.engine.device import Hardware, detect, precision_for
from yoyak.engine.models.lora import add_lora
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.planning.model_shapes import ModelShape, shape_of

MODELS = ("kobart", "llama32-ko-3b", "qwen3-4b", "qwen25-7b", "llama3-ko-8b")
RUNS: dict[str, Callable[[Bench], Run]] = {
    "ours": ours,
    "ours-no-drop": ours,
    "ours-unfused": unfused,
    "ours-packed": packed,
    "ours-packed-no-drop": packed,
    "ours-recomputed-no-drop": recomputed,
    "ours-liger": liger,
    "ours-compiled": compiled,
    "team": team,
    "trl": trl,
    "unsloth": unsloth,
}
CASES = tuple(RUNS)
ADAPTED = set(RUNS) - {"ours", "ours-compiled", "team"}
"""Cases that need adapters."""


# --- measuring ------------------------------------------------------------------------------------


def ceiling(hardware: Hardware, dtype: torch.dtype) -> float:
    """FLOP/s of a large square product in the format that training multiplies in."""
    cuda = hardware.device.type == "cuda"
    size, times = (8192, 20) if cuda else (512, 5)
    one, other = (torch.randn(size, size, device=hardware.device, dtype=dtype) for _ in range(2))
    torch.mm(one, other)
    spent = [
        timed(hardware.device, lambda: (torch.mm(one, other), 0.0)[1])[1] for _ in range(times)
    ]
    return 2 * size**3 / min(spent)


def measured(bench: Bench, case: str, peak_flops: float) -> dict[str, object]:
    cuda = bench.hardware.device.type == "cuda"
    if cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    run = RUNS[case](bench)
    rates, rows = Rates.of(len(run.rows), run.seconds, bench.repeats), len(run.rows)
    source, answer = (sum(len(ids) for ids in side) for side in sides(run.rows))
    needed = rates.per_second(fullsize.needed_flops(bench.shape, bench.recipe, run.rows), rows)
    return {
        **rates._asdict(),
        "tokens_per_second": rates.per_second(source + answer, rows),
        "supervised_tokens_per_second": rates.per_second(answer, rows),
        "peak_gb": torch.cuda.max_memory_allocated() / GB if cuda else None,
        "peak_reserved_gb": torch.cuda.max_memory_reserved() / GB if cuda else None,
        "needed_tflops": needed / 1e12,
        "ceiling_tflops": peak_flops / 1e12,
        "share_of_ceiling": needed / peak_flops,
        "steps": len(run.seconds),
        "first_loss": run.losses[0] if run.losses else None,
        "last_loss": run.losses[-1] if run.losses else None,
        **run.notes,
    }


def sides(rows: list[EncodedRow]) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    return [row.source_ids for row in rows], [row.answer_ids for row in rows]


def line_of(name: str, case: str, chosen: argparse.Namespace) -> dict[str, object]:
    """One case of one model."""
    recipe, hardware = resolve(name).recipe, detect()
    found = {"model": name, "case": case, "machine": machine_of(hardware)}
    reason = refusal(case, recipe, hardware, asked=chosen.explicit)
    if reason is not None:
        return found | {"left_out": reason}
    shape = shape_of(recipe)
    assert shape is not None, f"{name}: no published shape"
    if chosen.tiny:
        shape = fullsize.tiny(shape)
    rows = fullsize.draw_rows(shape, 96 if chosen.tiny else 2_000, shrink=8 if chosen.tiny else 1)
    precision = precision_for(recipe, hardware)
    peak = ceiling(hardware, precision.autocast or precision.base)
    learning = built(case, recipe, shape, hardware)
    bench = Bench(learning, recipe, shape, rows, hardware, chosen.steps, chosen.repeats)
    return found | measured(bench, case, peak)


def built(case: str, recipe: Recipe, shape: ModelShape, hardware: Hardware) -> Any:
    """The model of a case, adapters in place."""
    if case == "unsloth":
        from peer_unsloth import load

        return load(shape, recipe)
    model, lora = fullsize.build(shape, recipe, hardware), recipe.lora
    if lora is None:
        return model
    if case.endswith("no-drop"):
        lora = msgspec.structs.replace(lora, lora_dropout=0.0)
    return add_lora(model, lora, "causal", recipe.train.seed)


def refusal(case: str, recipe: Recipe, hardware: Hardware, *, asked: bool) -> str | None:
    """Why a case has no figures; ``asked``: it was named on the command line."""
    on_cpu = hardware.device.type == "cpu"
    if recipe.lora is None and case in ADAPTED:
        return "trains whole weights of an encoder-decoder"
    library = {"trl": "trl", "ours-liger": "liger_kernel", "unsloth": "unsloth"}.get(case)
    if library is not None and find_spec(library) is None:
        return f"{library} is not installed"
    if case == "unsloth" and on_cpu:
        return "Unsloth needs a GPU"
    if case == "ours-liger" and on_cpu:
        return "Liger's kernels need a CUDA card"
    if case == "ours-compiled" and on_cpu and not asked:
        return "compiling takes minutes on a CPU: name the case to have it"
    return None


def machine_of(hardware: Hardware) -> str:
    if hardware.device.type == "cuda":
        return f"{torch.cuda.get_device_name()}; {machine()}"
    return machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=20, help="timed optimiser steps a case")
    parser.add_argument("--explicit", action="store_true", help=argparse.SUPPRESS)
    chosen = parse(parser, MODELS, CASES)
    chosen.explicit = chosen.explicit or len(chosen.case) < len(CASES)
    if chosen.tiny:
        chosen.steps = 2
    if chosen.here:
        print(json.dumps(line_of(chosen.model[0], chosen.case[0], chosen), ensure_ascii=False))
        return
    ratios = None if chosen.tiny else Ratios("gpu", against="team")
    # Unsloth has to be imported before transformers.
    peer = str(Path(__file__).with_name("peer_unsloth.py"))
    run_cases(__file__, chosen, ratios, {"unsloth": peer} if find_spec("unsloth") else {})


if __name__ == "__main__":
    main()
