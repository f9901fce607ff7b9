"""AdamW over what learns, the learning rate as a pure function of the step, and moments on disk."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import LrScheduler, TrainSettings

if TYPE_CHECKING:
    from torch.optim import AdamW

MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def learning_rate(step: int, steps: int, settings: TrainSettings) -> float:
    """The rate of the optimiser step that follows ``step`` others, of ``steps`` in all.

    The schedules of transformers: linear warm-up from 0 over ⌈ratio × steps⌉ steps, then half a
    cosine or a line to 0, or no change.
    """
    warmup = math.ceil(steps * settings.warmup_ratio)
    if step < warmup:
        return settings.learning_rate * step / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    match settings.lr_scheduler:
        case LrScheduler.COSINE:
            share = 0.5 * (1.0 + math.cos(math.pi * progress))
        case LrScheduler.LINEAR:
            share = 1.0 - progress
        case LrScheduler.CONSTANT:
            share = 1.0
    return settings.learning_rate * max(0.0, share)


def build_optimizer(named: Mapping[str, torch.nn.Parameter], settings: TrainSettings) -> "AdamW":
    """AdamW (Loshchilov 2019) with its moments allocated, so that memory is known from the start.

    Matrices decay; biases and norms do not.
    """
    matrices = [value for value in named.values() if value.ndim > 1]
    vectors = [value for value in named.values() if value.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=settings.learning_rate, fused=True
    )
    for value in named.values():
        optimizer.state[value] = {
            "step": torch.zeros((), dtype=torch.float32, device=value.device),
            "exp_avg": torch.zeros_like(value),
            "exp_avg_sq": torch.zeros_like(value),
        }
    return optimizer


def optimizer_state(
    optimizer: "AdamW", named: Mapping[str, torch.nn.Parameter]
) -> dict[str, torch.Tensor]:
    """The optimiser's state as named tensors: ``exp_avg/<parameter>`` and so on."""
    return {
        f"{kind}/{name}": optimizer.state[value][kind]
        for name, value in named.items()
        for kind in MOMENTS
    }


def set_lr(optimizer: "AdamW", rate: float) -> None:
    """Sets the learning rate of every group."""
    for group in optimizer.param_groups:
        group["lr"] = rate
