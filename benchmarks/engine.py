"""How fast one CPU thread trains and generates here, against the same work written plainly.

    python benchmarks/engine.py [--steps N] [--dialogues N] [--json] [--tiny]

A small Qwen3 with random weights and the real Qwen3 vocabulary, on the contest's training rows
(YOYAK_SHARED or ../shared). Without them: the embedded sample repeated and a vocabulary trained on
it; ``--tiny`` is that at a size for tests.

Training: the engine's own batches, forward pass and optimiser against transformers with rows in
random order, four to a pass, padded, logits at every place. Both take 8 rows a step from the same
weights with the same AdamW, in turns. Each side runs some steps of its epoch, spread evenly over
the steps' sizes, so that rows/s speak for the whole epoch. Generation: the engine's against
``generate`` on four rows at a time in file order, under the same cap. Random weights do not know
where to end, so a stop is planted at every place that a number divides: answers of 1 to so many
tokens, as many of each length, with the mean of people's summaries.
"""

import argparse
import copy
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import history
from given import Material, Size, build, read_material
from plain import Generated, Plain, machine, parts_of, random_steps, stock_generate
from stops import plant_stops

import torch  # noqa: TID253 -- a benchmark loads what it compares
from yoyak.config.schema import Greedy, LrScheduler, TrainSettings
from yoyak.engine.device import silence_libraries
from yoyak.engine.inference import generate, max_length
from yoyak.engine.models.collate import MicroBatchLimits, collate, micro_batches, padded_tokens
from yoyak.engine.models.collate import shape_of as shape_of_row
from yoyak.engine.models.loss import loss_sum
from yoyak.engine.models.model import ModelBundle
from yoyak.engine.pipeline.start import DEFAULT_BUDGET_TOKENS
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.engine.training.optimizer import ModelOptimizer
from yoyak.engine.training.sampler import epoch_steps

BATCH_ROWS, MICRO_ROWS, HELD_OUT = 8, 4, 32
SETTINGS = TrainSettings(
    learning_rate=2e-3, lr_scheduler=LrScheduler.CONSTANT, batch_size=BATCH_ROWS
)


class Trained(NamedTuple):
    """What one side of the training did."""

    rows_per_second: float
    losses: list[float]
    held_out: float
    padded_tokens_a_row: float
    logits_a_row: float


# --- training -------------------------------------------------------------------------------------


def ours_of(material: Material) -> list[list[list[int]]]:
    """The epoch's steps as the engine cuts them: steps of passes of rows."""
    shapes = [shape_of_row(row, "causal") for row in material.train]
    limits = MicroBatchLimits(BATCH_ROWS, DEFAULT_BUDGET_TOKENS)
    steps = epoch_steps(shapes, BATCH_ROWS, seed=SETTINGS.seed, epoch=0)
    return [micro_batches(step, shapes, limits) for step in steps]


def padded(step: list[list[int]], rows: Sequence[EncodedRow]) -> int:
    return sum(padded_tokens([shape_of_row(rows[row], "causal") for row in part]) for part in step)


def evenly(steps: list[list[list[int]]], rows: Sequence[EncodedRow], count: int) -> list:
    """``count`` steps at evenly spaced places of the order of sizes, in the epoch's order."""
    ranked = sorted(range(len(steps)), key=lambda at: padded(steps[at], rows))
    chosen = {ranked[int((place + 0.5) * len(ranked) / count)] for place in range(count)}
    return [steps[at] for at in sorted(chosen)]


def our_step(optimizer: ModelOptimizer, groups: list[list[EncodedRow]]) -> float:
    loss = optimizer.gradient(groups)
    optimizer.clip()
    optimizer.step(SETTINGS.learning_rate)
    return loss


@torch.no_grad()
def held_out_loss(bundle: ModelBundle, rows: Sequence[EncodedRow]) -> float:
    """Mean loss of a supervised token on rows that nobody trains on."""
    bundle.model.eval()
    batches = [
        collate(part, bundle.tokenizer, bundle.kind, bundle.device) for part in parts_of(rows, 4)
    ]
    total = sum(float(loss_sum(bundle.model, batch)) for batch in batches)
    return total / sum(len(row.answer_ids) for row in rows)


def timed(work: Callable[[], float]) -> tuple[float, float]:
    start = time.perf_counter()
    found = work()
    return found, time.perf_counter() - start


def train(material: Material, size: Size) -> tuple[Trained, Trained, float, float]:
    """Ours, theirs, the held-out loss before, and how far apart the two are on the same rows."""
    cpu = torch.device("cpu")
    model = build(material.tokenizer, size, tied=True)
    ours = ModelBundle(model, material.tokenizer, "causal", cpu)
    theirs = ours._replace(model=copy.deepcopy(model))
    held = material.dev[:HELD_OUT]
    before = held_out_loss(ours, held)
    plain, optimizer = Plain(theirs, SETTINGS), ModelOptimizer(ours, SETTINGS)
    apart = same_rows(ours, plain, held[:MICRO_ROWS])
    whole = ours_of(material), random_steps(len(material.train), SETTINGS, MICRO_ROWS)
    chosen = [evenly(steps, material.train, size.steps) for steps in whole]
    spent: tuple[list[float], list[float]] = ([], [])
    losses: tuple[list[float], list[float]] = ([], [])
    for both in zip(*chosen, strict=True):
        works = (lambda g: our_step(optimizer, g)), plain.step
        for side, (step, work) in enumerate(zip(both, works, strict=True)):
            groups = [[material.train[row] for row in part] for part in step]
            loss, seconds = timed(lambda work=work, groups=groups: work(groups))
            losses[side].append(loss)
            spent[side].append(seconds)
    found = []
    for side, bundle in enumerate((ours, theirs)):
        rows = sum(len(part) for step in chosen[side] for part in step)
        tokens = sum(padded(step, material.train) for step in whole[side]) / len(material.train)
        answers = statistics.fmean(len(row.answer_ids) for row in material.train)
        found.append(
            Trained(
                rows_per_second=rows / sum(spent[side]),
                losses=losses[side],
                held_out=held_out_loss(bundle, held),
                padded_tokens_a_row=tokens,
                logits_a_row=answers if side == 0 else tokens,
            )
        )
    return found[0], found[1], before, apart


@torch.no_grad()
def same_rows(bundle: ModelBundle, plain: Plain, rows: Sequence[EncodedRow]) -> float:
    """Relative difference of the two losses of the same rows under the same weights."""
    batch = collate(rows, bundle.tokenizer, bundle.kind, bundle.device)
    one = float(loss_sum(bundle.model, batch)) / len(batch.targets)
    other = float(plain.loss(rows))
    return abs(one - other) / other


# --- generation -----------------------------------------------------------------------------------


def bundle_to_generate(material: Material, size: Size) -> ModelBundle:
    """A model that ends an answer at every place that twice the mean summary's length divides."""
    model = build(material.tokenizer, size, tied=False).eval()
    model.lm_head.weight.data[material.tokenizer.vocab_size :] = 0.0
    every = 2 * round(statistics.fmean(len(row.answer_ids) for row in material.train)) - 1
    plant_stops(model, every, material.tokenizer.stop_id)
    return ModelBundle(model, material.tokenizer, "causal", torch.device("cpu"))


def engine_generate(bundle: ModelBundle, rows: Sequence[EncodedRow], cap: int) -> Generated:
    start = time.perf_counter()
    said = generate.generate(bundle, rows, Greedy(), max_new_tokens=cap)
    found = {prediction.id: prediction for prediction in said}
    seconds = time.perf_counter() - start
    ordered = [found[row.id] for row in rows]
    return Generated(seconds, [each.raw for each in ordered], [each.tokens for each in ordered])


def compare_generation(material: Material, size: Size) -> tuple[Generated, Generated]:
    """Ours (before and after, averaged) and theirs."""
    bundle, rows = bundle_to_generate(material, size), material.dev[: size.dialogues]
    cap = max_length.default_max_new_tokens(len(row.answer_ids) for row in material.train)
    first = engine_generate(bundle, rows, cap)
    theirs = stock_generate(bundle, rows, cap, MICRO_ROWS)
    second = engine_generate(bundle, rows, cap)
    return first._replace(seconds=(first.seconds + second.seconds) / 2), theirs


# --- the report -----------------------------------------------------------------------------------


def record_of(material: Material, size: Size) -> dict[str, object]:
    ours, theirs, before, apart = train(material, size)
    we, they = compare_generation(material, size)
    same = sum(map(str.__eq__, we.texts, they.texts))
    return {
        "rows": {"source": material.source, "train": len(material.train), "steps": size.steps},
        "training": {
            "ours": ours._asdict(),
            "theirs": theirs._asdict(),
            "ratio": ours.rows_per_second / theirs.rows_per_second,
            "held_out_before": before,
            "same_rows_apart": apart,
        },
        "generation": {
            "dialogues": len(we.texts),
            "ours_seconds": we.seconds,
            "theirs_seconds": they.seconds,
            "ratio": they.seconds / we.seconds,
            "same_texts": same,
            "mean_tokens": statistics.fmean(we.tokens),
            "longest_tokens": max(we.tokens),
        },
    }


def draw(record: dict) -> None:
    training, generation = record["training"], record["generation"]
    ours, theirs = training["ours"], training["theirs"]
    print(f"{machine()}\n{record['rows']}\n")
    print("training                     engine   plain")
    for name in ("rows_per_second", "padded_tokens_a_row", "logits_a_row", "held_out"):
        print(f"  {name:<24} {ours[name]:9.3f} {theirs[name]:9.3f}")
    print(f"  held-out loss before: {training['held_out_before']:.3f}")
    print(f"  same rows, same weights: losses {training['same_rows_apart']:.0e} apart")
    for at, both in enumerate(zip(ours["losses"], theirs["losses"], strict=True), 1):
        print(f"  loss, step {at:<13} {both[0]:9.3f} {both[1]:9.3f}")
    print(f"  rows/s: {training['ratio']:.1f} x\n\ngeneration")
    for name, value in generation.items():
        print(f"  {name:<24} {value:9.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=8, help="optimiser steps of each side")
    parser.add_argument("--dialogues", type=int, default=200, help="dev dialogues to answer")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    parser.add_argument("--tiny", action="store_true", help="the sample, at a size for tests")
    chosen = parser.parse_args()
    silence_libraries()
    torch.set_num_threads(1)
    size = Size(chosen.steps, chosen.dialogues, width=64, layers=2, sample=chosen.tiny)
    if chosen.tiny:
        size = Size(steps=2, dialogues=6, width=32, layers=1, sample=True)
    record = record_of(read_material(size.sample), size)
    for part in () if chosen.tiny else ("training", "generation"):
        history.record(f"engine.{part}", record[part]["ratio"], spread=None)
    if chosen.json:
        print(json.dumps({"machine": machine(), **record}, ensure_ascii=False))
    else:
        draw(record)


if __name__ == "__main__":
    main()
