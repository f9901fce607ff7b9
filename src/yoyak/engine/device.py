"""Detect the device, and derive dtypes from it; there is no dtype setting.

Frozen weights and the arithmetic of a 4-bit base are bfloat16 where the GPU supports it; trainable
parameters and the optimizer state are float32. float16 and its loss scaler are never used: bfloat16
has float32's range, and mixing the two formats is a common cause of crashes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import Recipe


class Hardware(NamedTuple):
    """The device to train on, and whether it computes in bfloat16."""

    device: torch.device
    has_bfloat16: bool


class Precision(NamedTuple):
    """``base`` is the dtype of frozen weights; ``autocast`` of matrix products, if different."""

    base: torch.dtype
    autocast: torch.dtype | None


def detect() -> Hardware:
    """Return the current CUDA device, else the CPU; enable TF32 matrix products."""
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return Hardware(torch.device("cuda", torch.cuda.current_device()), native)
    return Hardware(torch.device("cpu"), has_bfloat16=False)


def release_memory() -> None:
    """Return memory of models that are gone to the GPU's other processes."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def silence_libraries() -> None:
    """Turn off progress bars and known harmless warnings of transformers, PEFT and bitsandbytes."""
    import logging
    import warnings

    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    # bitsandbytes warns at import that an optional CPU kernel is not installed.
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
    # PEFT 0.21 still asks transformers 5 by the old name.
    warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")


def limit_threads(recipe: Recipe) -> None:
    """Use one CPU thread for a toy model: more gain little, and cost much on a busy machine.

    It also makes the weights independent of the number of cores.
    """
    if recipe.model.scratch is not None and not torch.cuda.is_available():
        torch.set_num_threads(1)


def precision_for(recipe: Recipe, hardware: Hardware) -> Precision:
    """Return the dtypes of a recipe on this hardware.

    A model that is trained whole stays in float32. Under adapters the base is bfloat16 on GPUs that
    support it, and for 4-bit weights on CPUs too, where it is exact if not fast.
    """
    if recipe.lora is None:
        return Precision(torch.float32, None)
    if hardware.has_bfloat16:
        return Precision(torch.bfloat16, torch.bfloat16)
    on_cpu_in_4_bit = hardware.device.type == "cpu" and recipe.model.quantisation is not None
    return Precision(torch.bfloat16 if on_cpu_in_4_bit else torch.float32, None)


@contextmanager
def autocast(device: torch.device, dtype: torch.dtype | None) -> Iterator[None]:
    """Compute matrix products in ``dtype`` inside the block; ``None`` for their operands' dtype."""
    with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
        yield
