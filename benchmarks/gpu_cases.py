"""The cases of gpu.py: how each takes the same rows through the same model."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import fullsize
import msgspec
from plain import Plain, random_steps

import torch  # noqa: TID253 -- a benchmark loads what it measures
from yoyak.config.schema import Recipe
from yoyak.engine import TrainJob
from yoyak.engine.device import Hardware, precision_for
from yoyak.engine.models.collate import padded_tokens
from yoyak.engine.models.collate import shape_of as shape_of_row
from yoyak.engine.models.model import ModelBundle
from yoyak.engine.pipeline.start import DEFAULT_BUDGET_TOKENS
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.engine.training.checkpoint import TrainState
from yoyak.engine.training.context import TrainContext
from yoyak.engine.training.optimizer import ModelOptimizer
from yoyak.engine.training.recovery import accumulate_gradients
from yoyak.engine.training.sampler import epoch_steps
from yoyak.planning.model_shapes import ModelShape

WARM_UP = 2


class Bench(NamedTuple):
    """What all cases of a model share."""

    model: Any
    recipe: Recipe
    shape: ModelShape
    rows: list[EncodedRow]
    hardware: Hardware
    steps: int
    repeats: int

    @property
    def kind(self) -> str:
        return "seq2seq" if self.shape.family == "bart" else "causal"


class Run(NamedTuple):
    """The seconds of each timed step, its rows, and what else is worth telling."""

    seconds: list[float]
    rows: list[EncodedRow]
    losses: list[float]
    notes: dict[str, object]


class Steps(NamedTuple):
    """A timetable of given steps."""

    chosen: list[list[int]]

    def rows(self, step: int) -> list[int]:
        return self.chosen[step]


def spread(
    steps: list[list[int]], size: Callable[[list[int]], int], bench: Bench
) -> list[list[int]]:
    """Warm-up with the largest steps, then some spread evenly over the sizes, several times."""
    ranked, count = sorted(steps, key=size), bench.steps
    even = [ranked[int((place + 0.5) * len(ranked) / count)] for place in range(count)]
    return [*ranked[: -WARM_UP - 1 : -1], *even * bench.repeats]


def timed(device: torch.device, work: Callable[[], Any]) -> tuple[Any, float]:
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    wait()
    start = time.perf_counter()
    found = work()
    wait()
    return found, time.perf_counter() - start


def ours(bench: Bench) -> Run:
    return engine(bench)


def unfused(bench: Bench) -> Run:
    return engine(bench, kernels="torch")


def packed(bench: Bench) -> Run:
    return engine(bench, packing="on")


def recomputed(bench: Bench) -> Run:
    return engine(bench, packing="on", gradient_checkpointing="on")


def liger(bench: Bench) -> Run:
    return engine(bench, kernels="liger")


def compiled(bench: Bench) -> Run:
    return engine(bench, compile=True)


def engine(bench: Bench, **switches: Any) -> Run:
    train = msgspec.structs.replace(bench.recipe.train, **switches)
    recipe = msgspec.structs.replace(bench.recipe, train=train)
    shapes = [shape_of_row(row, bench.kind) for row in bench.rows]
    steps = epoch_steps(shapes, train.batch_size, seed=train.seed, epoch=0)
    chosen = spread(steps, lambda step: padded_tokens([shapes[r] for r in step]), bench)
    told: list[object] = []
    precision = precision_for(recipe, bench.hardware)
    bundle = ModelBundle(bench.model, fullsize.IDS, bench.kind, bench.hardware.device)
    context = TrainContext(
        job=TrainJob(recipe, None, None, Path(), told.append, lambda: False),
        optimizer=ModelOptimizer(bundle, train, precision.autocast),
        rows=bench.rows,
        shapes=shapes,
        schedule=Steps(chosen),
        checkpoints=None,
        evaluator=None,
    )
    progress = TrainState(
        budget_tokens=train.micro_batch_tokens or DEFAULT_BUDGET_TOKENS,
        packed=train.packing == "on",
        recompute=train.recomputes[0],
    )
    context.optimizer.set_activation_checkpointing(progress.recompute)

    def step() -> float:
        nonlocal progress
        loss, progress = accumulate_gradients(
            context, progress, context.schedule.rows(progress.step)
        )
        context.optimizer.clip()
        context.optimizer.step(train.learning_rate)
        progress = msgspec.structs.replace(progress, step=progress.step + 1)
        return loss

    run = timed_steps(bench, chosen, step)
    run.notes.update(
        budget_tokens=progress.budget_tokens, recompute=progress.recompute, replays=len(told)
    )
    return run


def timed_steps(bench: Bench, chosen: list[list[int]], step: Callable[[], float]) -> Run:
    found = [timed(bench.hardware.device, step) for _ in chosen][WARM_UP:]
    rows = [bench.rows[row] for part in chosen[WARM_UP:] for row in part]
    return Run([seconds for _, seconds in found], rows, [loss for loss, _ in found], {})


MICRO_ROWS = {"llama32-ko-3b": 4, "qwen3-4b": 4, "qwen25-7b": 2, "llama3-ko-8b": 1}
"""Rows of a pass in the report that the recipes follow; koBART's are its whole batch."""


def micro_rows_of(bench: Bench) -> int:
    return MICRO_ROWS.get(bench.recipe.name, bench.recipe.train.batch_size)


def plain_steps(bench: Bench) -> list[list[int]]:
    train = bench.recipe.train
    cut = random_steps(len(bench.rows), train, train.batch_size)
    return spread(
        [part for step in cut for part in step if len(part) == train.batch_size],
        lambda step: max(sum(shape_of_row(bench.rows[row], bench.kind)) for row in step),
        bench,
    )


def team(bench: Bench) -> Run:
    bundle = ModelBundle(bench.model, fullsize.IDS, bench.kind, bench.hardware.device)
    precision = precision_for(bench.recipe, bench.hardware)
    plain = Plain(bundle, bench.recipe.train, precision.autocast)
    if bench.kind == "causal":
        recompute(bench.model, on=True)
    chosen, micro = plain_steps(bench), micro_rows_of(bench)
    pending = iter(chosen)

    def step() -> float:
        rows = [bench.rows[row] for row in next(pending)]
        return plain.step([rows[at : at + micro] for at in range(0, len(rows), micro)])

    run = timed_steps(bench, chosen, step)
    run.notes.update(micro_batch_size=micro, recompute=bench.kind == "causal")
    return run


def recompute(model: Any, *, on: bool) -> None:
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    if on:
        # transformers 5.17 only has the older name.
        enable = getattr(inner, "activation_checkpointing_enable", None)
        (enable or inner.gradient_checkpointing_enable)({"use_reentrant": False})
    else:
        disable = getattr(inner, "activation_checkpointing_disable", None)
        (disable or inner.gradient_checkpointing_disable)()


def trl(bench: Bench) -> Run:
    from peer_trl import train

    chosen = plain_steps(bench)
    rows = [bench.rows[row] for step in chosen for row in step]
    on_cpu = bench.hardware.device.type == "cpu"
    done = train(bench.model, rows, bench.recipe.train, micro_rows_of(bench), on_cpu=on_cpu)
    timed_rows = [bench.rows[row] for step in chosen[WARM_UP:] for row in step]
    return Run(done.seconds[WARM_UP:], timed_rows, done.losses[WARM_UP:], done.notes)


def unsloth(bench: Bench) -> Run:
    from peer_unsloth import train

    return train(bench)
