"""AdamW in 32 or 8 bit: parameter groups, and its state as named tensors.

8-bit and paged moments are bitsandbytes'. Their state is allocated at the start as well, saved in
its own form (codes and the largest value of each block) and so resumed bit for bit.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import Optim, TrainSettings
from yoyak.errors import RunFailed, Unavailable

STATE_NAMES = ("step", "exp_avg", "exp_avg_sq")
BITSANDBYTES_NAMES = ("state1", "state2", "absmax1", "absmax2")
"""Tensors of bitsandbytes' state; parameters below 4,096 elements have the first two, float32."""
LR_SCALE = "lr_scale"
"""Entry of a parameter group: its learning rate as a multiple of the schedule's."""

Named = Mapping[str, torch.nn.Parameter]


def build_optimizer(
    named: Named, settings: TrainSettings, lr_scales: Mapping[str, float] | None = None
) -> torch.optim.Optimizer:
    """Build AdamW (Loshchilov 2019) with its moments allocated: memory use is known at the start.

    Weight decay applies to matrices, not to biases and norms.

    Args:
        named: the parameters.
        settings: of the optimizer.
        lr_scales: learning rates by parameter as multiples of the schedule's; 1 where there is
            none.

    Raises:
        Unavailable: bitsandbytes is not installed, or paged moments are asked for without a GPU.
    """
    scales = lr_scales or {}
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, value in named.items():
        decay = settings.weight_decay if value.ndim > 1 else 0.0
        groups.setdefault((scales.get(name, 1.0), decay), []).append(value)
    described = [
        {"params": params, LR_SCALE: scale, "weight_decay": decay}
        for (scale, decay), params in groups.items()
    ]
    if settings.optim is not Optim.ADAMW:
        return _bitsandbytes(described, settings)
    optimizer = torch.optim.AdamW(described, lr=settings.learning_rate, fused=True)
    for value in named.values():
        optimizer.state[value] = {
            "step": torch.zeros((), dtype=torch.float32, device=value.device),
            "exp_avg": torch.zeros_like(value),
            "exp_avg_sq": torch.zeros_like(value),
        }
    return optimizer


def _bitsandbytes(groups: list[dict[str, Any]], settings: TrainSettings) -> torch.optim.Optimizer:
    optim = settings.optim
    if optim.is_paged and all(each.device.type == "cpu" for each in groups[0]["params"]):
        raise Unavailable("engine.paged-needs-gpu", optim=optim)
    try:
        library: Any = import_module("bitsandbytes.optim")
    except ImportError as error:
        raise Unavailable("engine.no-8-bit", optim=optim) from error
    classes = {
        Optim.ADAMW_8BIT: library.AdamW8bit,
        Optim.PAGED_ADAMW_8BIT: library.PagedAdamW8bit,
        Optim.PAGED_ADAMW_32BIT: library.PagedAdamW32bit,
    }
    built: Any = classes[optim](groups, lr=settings.learning_rate)
    for index, group in enumerate(built.param_groups):
        for place, value in enumerate(group["params"]):
            built.init_state(group, value, index, place)
    optimizer: torch.optim.Optimizer = built
    return optimizer


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of the schedule: each group has its multiple of it."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group[LR_SCALE]


def optimizer_state(optimizer: torch.optim.Optimizer, named: Named) -> dict[str, torch.Tensor]:
    """Return the optimizer's state as named tensors: ``exp_avg/<parameter>`` and so on.

    They are the live ones, but for the count of steps of bitsandbytes, which is a plain number.
    """
    found: dict[str, torch.Tensor] = {}
    for name, value in named.items():
        state = optimizer.state[value]
        if "exp_avg" in state:
            found |= {f"{kind}/{name}": state[kind] for kind in STATE_NAMES}
        else:
            found[f"step/{name}"] = torch.tensor(float(state["step"]))
            found |= {f"{kind}/{name}": state[kind] for kind in BITSANDBYTES_NAMES if kind in state}
    return found


def load_optimizer_state(
    optimizer: torch.optim.Optimizer, named: Named, tensors: Mapping[str, torch.Tensor]
) -> None:
    """Copy a saved state into the optimizer.

    Raises:
        RunFailed: a name, shape or dtype differs.
    """
    copy_tensors(tensors, optimizer_state(optimizer, named))
    for name, value in named.items():
        state = optimizer.state[value]
        if "exp_avg" not in state:
            state["step"] = int(tensors[f"step/{name}"])


@torch.no_grad()
def copy_tensors(source: Mapping[str, torch.Tensor], target: Mapping[str, torch.Tensor]) -> None:
    """Copy tensors in place, by name.

    Raises:
        RunFailed: a name, shape or dtype differs; nothing is copied.
    """
    unlike = [
        name
        for name in sorted({*source, *target})
        if name not in source
        or name not in target
        or (source[name].shape, source[name].dtype) != (target[name].shape, target[name].dtype)
    ]
    if unlike:
        raise RunFailed("engine.other-tensors", count=len(unlike), first=unlike[0])
    for name, tensor in target.items():
        tensor.copy_(source[name])
