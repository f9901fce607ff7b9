"""Liger's fused RMSNorm, SwiGLU and rotary embeddings, for the model families in use.

Only the given model is patched, and only with what is listed here. The loss stays ours: Liger's
fused one computes logits at every position, supervised or not.
"""

import os
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

from yoyak.engine.models.model import ModelBundle, unwrap_model
from yoyak.errors import Unavailable

FAMILIES = {"llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3"}
"""transformers' ``model_type``, and the prefix of its class names."""


class KernelPatch(NamedTuple):
    """An attribute to replace for a while, and its other value."""

    owner: object
    name: str
    value: object


def liger_patches(bundle: ModelBundle) -> list[KernelPatch]:
    """Return what to replace in a model to use Liger's kernels.

    Raises:
        Unavailable: Liger is not installed, needs a GPU, or does not know the model.
    """
    inner = unwrap_model(bundle.model)
    family = inner.config.model_type
    if family not in FAMILIES or inner.config.hidden_act not in {"silu", "swish"}:
        raise Unavailable("engine.liger-family", family=family, known=", ".join(FAMILIES))
    # With TRITON_INTERPRET, Triton runs kernels in Python, without a GPU.
    if bundle.device.type == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
        raise Unavailable("engine.liger-needs-card")
    try:
        functional = import_module("liger_kernel.transformers.functional")
    except ModuleNotFoundError as error:
        raise Unavailable("engine.no-liger", library=error.name) from error
    return list(_patches(inner, FAMILIES[family], functional))


def _patches(inner: Any, prefix: str, functional: Any) -> Iterator[KernelPatch]:
    modeling: Any = import_module(type(inner).__module__)
    yield KernelPatch(modeling, "apply_rotary_pos_emb", functional.liger_rope)
    norm, mlp = getattr(modeling, f"{prefix}RMSNorm"), getattr(modeling, f"{prefix}MLP")
    for module in inner.modules():
        if isinstance(module, norm):
            forward = partial(_norm_forward, module, functional.liger_rms_norm)
            yield KernelPatch(module, "forward", forward)
        elif isinstance(module, mlp):
            forward = partial(_mlp_forward, module, functional.liger_swiglu)
            yield KernelPatch(module, "forward", forward)


def _norm_forward(norm: Any, kernel: Any, hidden: Any) -> Any:
    # Not in place: the incoming gradient may be used elsewhere as well.
    return kernel(hidden, norm.weight, norm.variance_epsilon, in_place=False)


def _mlp_forward(mlp: Any, kernel: Any, hidden: Any) -> Any:
    return mlp.down_proj(kernel(mlp.gate_proj(hidden), mlp.up_proj(hidden)))
