"""How fast the LLMs answer at full size, on any CUDA machine, without a model hub.

    python benchmarks/gpu_generation.py --model llama3-ko-8b --budget-gb 24 [--rows N]
    python benchmarks/gpu_generation.py --tiny          # every model and case, small, on the CPU

Random weights with stops planted as in engine.py, so that answers have the mean length of
summaries; the same rows for every case, each in a process of its own. One JSON line a case, greedy
decoding, measured three times.

nf4      the engine on NF4 with adapters: sorted batches that finished rows leave, fused blocks
nf4-peft the same with PEFT's layers
merged   the engine on bfloat16 weights with the adapters merged into them
plain    ``generate`` on NF4 with adapters, four rows at a time in file order
"""

import argparse
import json
import os
import statistics
import time
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import fullsize
from on_card import GB, Rates, Ratios, parse, run_cases
from plain import machine, stock_generate
from stops import plant_stops

import torch  # noqa: TID253 -- a benchmark loads what it measures
from yoyak.config.load import resolve
from yoyak.config.schema import Greedy, Recipe
from yoyak.engine.device import detect
from yoyak.engine.inference import generate, max_length
from yoyak.engine.inference.batch_memory import batch_memory, make_batches
from yoyak.engine.inference.merge_lora import without_quantisation
from yoyak.engine.models.lora import add_lora
from yoyak.engine.models.model import ModelBundle, unwrap_model
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.planning.model_shapes import ModelShape, shape_of

MODELS = ("llama32-ko-3b", "qwen3-4b", "qwen25-7b", "llama3-ko-8b")
CASES = ("nf4", "nf4-peft", "merged", "plain")


def built(shape: ModelShape, recipe: Recipe, rows: list[EncodedRow], case: str) -> ModelBundle:
    hardware, merged = detect(), case == "merged"
    used = without_quantisation(recipe) if merged else recipe
    base = fullsize.build(shape, used, hardware)
    model: Any = add_lora(base, used.lora, "causal", used.train.seed)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if ".lora_B." in name:
                value.normal_(std=1e-2)
    if merged:
        model = model.merge_and_unload()
    tokenizer = SimpleNamespace(
        **fullsize.IDS._asdict(),
        stop_ids=(fullsize.IDS.stop_id,),
        vocab_size=shape.vocabulary,
        decode=str,  # random ids have no words
    )
    every = 2 * round(statistics.fmean(len(row.answer_ids) for row in rows)) - 1
    plant_stops(unwrap_model(model), every, tokenizer.stop_id)
    return ModelBundle(model.eval(), tokenizer, "causal", hardware.device, fuses_lora=case == "nf4")


def by_the_engine(bundle: ModelBundle, rows: list[EncodedRow], cap: int) -> int:
    work = generate.DecodeJob(bundle, Greedy(), cap, ())
    return sum(
        len(ids)
        for batch in make_batches(rows, cap, batch_memory(bundle, Greedy()))
        for ids in generate.decoded(work, batch)
    )


def plainly(bundle: ModelBundle, rows: list[EncodedRow], cap: int) -> int:
    return sum(stock_generate(bundle, rows, cap, micro_rows=4).tokens)


def line_of(name: str, case: str, chosen: argparse.Namespace) -> dict[str, object]:
    """One case of one model."""
    recipe, cuda = resolve(name).recipe, torch.cuda.is_available()
    shape = shape_of(recipe)
    assert shape is not None, f"{name}: no published shape"
    if chosen.tiny:
        shape = fullsize.tiny(shape)
    rows = fullsize.draw_rows(shape, chosen.rows, shrink=8 if chosen.tiny else 1)
    cap = max_length.default_max_new_tokens(len(row.answer_ids) for row in rows)
    bundle = built(shape, recipe, rows, case)
    decode = plainly if case == "plain" else by_the_engine
    decode(bundle, rows[:4], cap)
    wait = torch.cuda.synchronize if cuda else lambda: None
    seconds, tokens = [], 0
    for _ in range(chosen.repeats):
        wait()
        started = time.perf_counter()
        tokens = decode(bundle, rows, cap)
        wait()
        seconds.append(time.perf_counter() - started)
    rates = Rates.of(len(rows) * chosen.repeats, seconds, chosen.repeats)
    return {
        "model": name,
        "case": case,
        "machine": f"{torch.cuda.get_device_name()}; {machine()}" if cuda else machine(),
        **rates._asdict(),
        "new_tokens_per_second": rates.per_second(tokens, len(rows)),
        "peak_gb": torch.cuda.max_memory_allocated() / GB if cuda else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=200)
    chosen = parse(parser, MODELS, CASES)
    if chosen.tiny:
        chosen.rows = 24
    if chosen.here:
        print(json.dumps(line_of(chosen.model[0], chosen.case[0], chosen), ensure_ascii=False))
        return
    run_cases(__file__, chosen, None if chosen.tiny else Ratios("gpu_generation", against="plain"))


if __name__ == "__main__":
    main()
