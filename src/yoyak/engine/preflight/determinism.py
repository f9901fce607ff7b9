"""Whether a device repeats itself to the bit, shown by two short runs, and the mode that helps it.

Kernels on cards may add up in an order that changes from run to run. PyTorch has deterministic
forms of most, attention's backward pass among them, and refuses those that have none.
"""

from collections.abc import Mapping

import msgspec

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.engine.training.checkpoint import TrainState
from yoyak.engine.training.context import TrainContext
from yoyak.engine.training.deterministic_kernels import deterministic_kernels
from yoyak.engine.training.recovery import accumulate_gradients

STEPS = 3
"""Optimiser steps of a short run: the last one starts from moments that are not zero."""


def check_determinism(context: TrainContext, progress: TrainState) -> TrainState:
    """The progress with what two short runs from its state have shown; all else is as before.

    A device that does not repeat itself, or has no deterministic form of a kernel that is needed,
    trains with its usual kernels, and the run says so.
    """
    wished = context.job.recipe.train.deterministic
    device = context.optimizer.bundle.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    try:
        with deterministic_kernels(enabled=wished):
            same = is_deterministic(context, progress)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        if not wished or "deterministic" not in str(error):
            raise
        # PyTorch names the operation that has no deterministic form.
        context.warn("engine.not-deterministic", device=name, problem=str(error).split(". ")[0])
        same = False
    else:
        if not same:
            context.warn("engine.not-exact", device=name)
    return msgspec.structs.replace(progress, deterministic=wished and same)


def is_deterministic(context: TrainContext, progress: TrainState) -> bool:
    """Whether two short runs from the same state end with the same weights, to the bit.

    Weights, moments and gradients are as before; random numbers belong to steps anyhow.
    """
    optimizer = context.optimizer
    before = _copies(optimizer.named), _copies(optimizer.moments())
    ends = []
    try:
        for _ in range(2):
            _short_run(context, progress)
            ends.append(_copies(optimizer.named))
            optimizer.load(before[0])
            optimizer.load_moments(before[1])
    finally:
        optimizer.forget()
        optimizer.load(before[0])
        optimizer.load_moments(before[1])
    return all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def _short_run(context: TrainContext, progress: TrainState) -> None:
    settings = context.job.recipe.train
    for step in range(min(STEPS, context.schedule.steps)):
        accumulate_gradients(
            context, msgspec.structs.replace(progress, step=step), context.schedule.rows(step)
        )
        context.optimizer.clip()
        # The full rate: while it warms up, nothing would move.
        context.optimizer.apply(settings.learning_rate)


def _copies(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """On the CPU, so that the card holds nothing twice."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}
