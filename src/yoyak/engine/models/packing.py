"""Sequence packing: rows concatenated instead of padded, and attention that separates them.

On a GPU, attention uses torch's varlen kernel with ``cu_seqlens``. Elsewhere transformers builds a
block-diagonal mask from positions that restart with each row, which is exact and slow.
"""

import inspect
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak import messages
from yoyak.engine.device import Precision
from yoyak.engine.models.model import ModelBundle, attention_function, unwrap_model
from yoyak.errors import Unavailable

ATTENTION = "yoyak-varlen"
"""The name of the varlen attention in transformers' ``AttentionInterface``."""


def packing_obstacle(bundle: ModelBundle, precision: Precision) -> str | None:
    """Say why rows cannot be packed for this model on this machine; ``None`` if they can."""
    if bundle.kind != "causal":
        return messages.text("engine.packing-seq2seq")
    if bundle.device.type != "cuda":
        return None
    if (precision.autocast or precision.base) is not torch.bfloat16:
        return messages.text("engine.packing-float32")
    return _varlen_obstacle(bundle)


def _varlen_obstacle(bundle: ModelBundle) -> str | None:
    if "window_size" not in _varlen_parameters():
        return messages.text("engine.packing-no-kernel", torch=torch.__version__)
    config = unwrap_model(bundle.model).config
    if config._attn_implementation not in {"sdpa", ATTENTION}:
        return messages.text("engine.packing-eager", attention=config._attn_implementation)
    if getattr(config, "attention_dropout", 0.0):
        return messages.text("engine.packing-attention-dropout")
    return None


def _varlen_parameters() -> Collection[str]:
    """Return the parameters of torch's varlen attention; none before it existed.

    ``window_size`` came with torch 2.11, ``enable_gqa`` with 2.12. Without the latter the kernel
    takes grouped-query heads as they are (measured on an H200 with 2.11).
    """
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return ()
    return _parameters(varlen_attn)


@cache
def _parameters(function: Callable[..., Any]) -> Collection[str]:
    return inspect.signature(function).parameters.keys()


@contextmanager
def varlen_attention(bundle: ModelBundle) -> Iterator[None]:
    """Use varlen attention on a GPU inside the block, which has to include recomputation.

    Raises:
        Unavailable: a run with packed rows is resumed on a GPU that cannot pack.
    """
    if bundle.device.type != "cuda":
        yield
        return
    reason = _varlen_obstacle(bundle)
    if reason is not None:
        raise Unavailable("engine.cannot-pack", reason=reason)
    config = unwrap_model(bundle.model).config
    with attention_function(config, ATTENTION, varlen_forward):
        yield


def varlen_forward(
    _module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _mask: torch.Tensor | None,
    **given: Any,
) -> tuple[torch.Tensor, None]:
    """Compute causal attention within each row of a packed sequence (transformers' interface).

    Args:
        query: [1, heads, tokens, width].
        key: [1, key heads, tokens, width].
        value: as ``key``.
        given: ``scaling``, ``sliding_window``, ``cu_seq_lens_q`` and ``max_length_q``.
    """
    from torch.nn.attention import varlen

    cu_seqlens, max_seqlen = given["cu_seq_lens_q"], given["max_length_q"]
    window = given.get("sliding_window")
    grouped = query.shape[1] != key.shape[1]
    switch: dict[str, Any] = {"enable_gqa": grouped} if "enable_gqa" in _varlen_parameters() else {}
    output: Any = varlen.varlen_attn(
        query[0].transpose(0, 1),
        key[0].transpose(0, 1),
        value[0].transpose(0, 1),
        cu_seq_q=cu_seqlens,
        cu_seq_k=cu_seqlens,
        max_q=max_seqlen,
        max_k=max_seqlen,
        scale=given.get("scaling"),
        window_size=(-1 if window is None else window - 1, 0),
        **switch,
    )
    return output.unsqueeze(0), None
