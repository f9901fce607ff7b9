"""Whether the rows of a pass are packed: only where that is proved equal and measured faster."""

import time
from collections.abc import Sequence
from statistics import median

import msgspec

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.engine.device import detect, precision_for
from yoyak.engine.models.kernels import KernelOptions
from yoyak.engine.models.packing import obstacle
from yoyak.engine.preflight.checks import check_context
from yoyak.engine.preflight.kernel_checks import equals_plain
from yoyak.engine.training.checkpoint import TrainState
from yoyak.engine.training.context import TrainContext
from yoyak.engine.training.recovery import accumulate_gradients

SAMPLED_STEPS = 4
ROUNDS = 3
WORTHWHILE = 0.99
"""Packing has to save more than this leaves; below it the clock's own noise decides."""


def packed_if_better(context: TrainContext, progress: TrainState) -> TrainState:
    """The progress with packing on if it holds and pays here; what was found is told."""
    reason = _reason_against(context)
    if reason is not None:
        context.warn("engine.packing-impossible", reason=reason)
        return progress
    padded, packed = seconds_of_both(context, progress)
    pays = packed < WORTHWHILE * padded
    context.warn(
        "engine.packing-faster" if pays else "engine.packing-slower",
        padded=f"{padded:.2f}",
        packed=f"{packed:.2f}",
        steps=SAMPLED_STEPS,
    )
    return msgspec.structs.replace(progress, packed=pays)


def _reason_against(context: TrainContext) -> str | None:
    """Why rows cannot be packed, or what the two gradients differ by; ``None`` if all is well."""
    bundle, recipe = context.optimizer.bundle, context.job.recipe
    precision = precision_for(recipe, detect())
    reason = obstacle(bundle, precision)
    if reason is not None:
        return reason
    switches = KernelOptions.of(recipe.train)._replace(packed=True)
    bench = check_context(bundle, context.rows, precision)
    line = equals_plain(bench, "packed-equals-padded", switches)
    return None if line.passed else line.found


def seconds_of_both(context: TrainContext, progress: TrainState) -> tuple[float, float]:
    """Median seconds of some of the first epoch's gradients, padded and packed, in turns."""
    every = max(1, context.schedule.steps_per_epoch // SAMPLED_STEPS)
    steps = range(0, context.schedule.steps_per_epoch, every)[:SAMPLED_STEPS]
    sample = [context.schedule.rows(step) for step in steps]
    spent: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(1 + ROUNDS):
        for packed, seconds in spent.items():
            way = msgspec.structs.replace(progress, packed=packed)
            seconds.append(_seconds(context, way, sample))
    # The first round warms up.
    return median(spent[False][1:]), median(spent[True][1:])


def _seconds(context: TrainContext, progress: TrainState, sample: Sequence[Sequence[int]]) -> float:
    started = time.perf_counter()
    for rows in sample:
        _, progress = accumulate_gradients(context, progress, rows)
        context.optimizer.forget()
    if context.optimizer.bundle.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started
