"""Liger's fused norms, SwiGLU and rotary positions for the families of models they are used with.

Only the model at hand gets them, and only what is named here: the head stays ours, because Liger's
fused one computes every place, supervised or not.
"""

import os
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from typing import Any

from yoyak.engine.models.model import ModelBundle, without_wrapper
from yoyak.errors import Unavailable

FAMILIES = {"llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3"}
"""transformers' name of a family, and how its classes begin."""

Replacement = tuple[object, str, object]
"""Owner, attribute, other value."""


def liger_parts(bundle: ModelBundle) -> list[Replacement]:
    """What to replace in a model.

    Raises:
        Unavailable: Liger is not installed, needs a card, or does not know the model.
    """
    inner = without_wrapper(bundle.model)
    family = inner.config.model_type
    if family not in FAMILIES or inner.config.hidden_act not in {"silu", "swish"}:
        raise Unavailable("engine.liger-family", family=family, known=", ".join(FAMILIES))
    # Triton's own switch for running kernels step by step, without a card.
    if bundle.device.type == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
        raise Unavailable("engine.liger-needs-card")
    try:
        functional = import_module("liger_kernel.transformers.functional")
    except ModuleNotFoundError as error:
        raise Unavailable("engine.no-liger", library=error.name) from error
    return list(_parts(inner, FAMILIES[family], functional))


def _parts(inner: Any, prefix: str, functional: Any) -> Iterator[Replacement]:
    modeling: Any = import_module(type(inner).__module__)
    yield modeling, "apply_rotary_pos_emb", functional.liger_rope
    norm, feed = getattr(modeling, f"{prefix}RMSNorm"), getattr(modeling, f"{prefix}MLP")
    for part in inner.modules():
        if isinstance(part, norm):
            yield part, "forward", partial(_norm, part, functional.liger_rms_norm)
        elif isinstance(part, feed):
            yield part, "forward", partial(_feed, part, functional.liger_swiglu)


def _norm(norm: Any, kernel: Any, hidden: Any) -> Any:
    # Not in place: the gradient that comes in may be another's as well.
    return kernel(hidden, norm.weight, norm.variance_epsilon, in_place=False)


def _feed(feed: Any, kernel: Any, hidden: Any) -> Any:
    return feed.down_proj(kernel(feed.gate_proj(hidden), feed.up_proj(hidden)))
