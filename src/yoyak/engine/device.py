"""What the machine is, and the number formats that follow from it: nobody chooses a dtype.

Frozen weights and the arithmetic of a 4-bit base are bfloat16 where the card has it; everything
that learns, and the optimiser's moments, are float32. float16 and its loss scaler are never used:
bfloat16 has float32's range, and mixing the two is the field's commonest crash.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import Recipe


class Hardware(NamedTuple):
    """The device that learns, and whether it computes in bfloat16."""

    device: torch.device
    has_bfloat16: bool


class Precision(NamedTuple):
    """``base`` is the dtype of frozen weights; ``autocast`` that of matrix products, if another."""

    base: torch.dtype
    autocast: torch.dtype | None


def detect() -> Hardware:
    """The first CUDA card that is visible, else the CPU. TF32 products are switched on."""
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return Hardware(torch.device("cuda", torch.cuda.current_device()), native)
    return Hardware(torch.device("cpu"), has_bfloat16=False)


def quieten() -> None:
    """Keeps progress bars and known harmless notes of the training stack off the terminal."""
    import logging
    import warnings

    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    # bitsandbytes says at import that an optional CPU kernel is not installed.
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
    # PEFT 0.21 still asks transformers 5 by the old name.
    warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")


def limit_threads(recipe: Recipe) -> None:
    """One thread for a toy on the CPU: more gain it little, and on a busy machine they cost much.

    It also makes its weights independent of the number of cores.
    """
    if recipe.model.scratch is not None and not torch.cuda.is_available():
        torch.set_num_threads(1)


def precision_for(recipe: Recipe, hardware: Hardware) -> Precision:
    """The number formats of a recipe on a machine.

    A model that is trained whole stays in float32. Below adapters the base is bfloat16 on cards
    that compute in it, and under 4-bit weights on CPUs too, where it is exact if not fast.
    """
    if recipe.lora is None:
        return Precision(torch.float32, None)
    if hardware.has_bfloat16:
        return Precision(torch.bfloat16, torch.bfloat16)
    on_cpu_in_4_bit = hardware.device.type == "cpu" and recipe.model.quantisation is not None
    return Precision(torch.bfloat16 if on_cpu_in_4_bit else torch.float32, None)


@contextmanager
def computing(device: torch.device, autocast: torch.dtype | None) -> Iterator[None]:
    """Matrix products in ``autocast`` inside the block, or in the dtype of their operands."""
    with torch.autocast(device.type, dtype=autocast, enabled=autocast is not None):
        yield
