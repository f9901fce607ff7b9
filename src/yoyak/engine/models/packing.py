"""Rows behind one another instead of padded side by side, and attention that keeps them apart.

On a card, attention works on such a line through torch's varlen kernel. Elsewhere transformers
builds a block-diagonal mask from positions that begin anew with each row, which is exact and slow.
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak import messages
from yoyak.engine.device import Precision
from yoyak.engine.models.model import ModelBundle, without_wrapper
from yoyak.errors import Unavailable

ATTENTION = "yoyak-varlen"
"""The name of the varlen attention in transformers' table."""


def obstacle(bundle: ModelBundle, precision: Precision) -> str | None:
    """Why rows cannot be packed for this model on this machine; ``None`` if they can be."""
    if bundle.kind != "causal":
        return messages.text("engine.packing-seq2seq")
    if bundle.device.type != "cuda":
        return None
    if (precision.autocast or precision.base) is not torch.bfloat16:
        return messages.text("engine.packing-float32")
    return _kernel_obstacle(bundle)


def _kernel_obstacle(bundle: ModelBundle) -> str | None:
    if not _has_kernel():
        return messages.text("engine.packing-no-kernel", torch=torch.__version__)
    if getattr(without_wrapper(bundle.model).config, "attention_dropout", 0.0):
        return messages.text("engine.packing-attention-dropout")
    return None


def _has_kernel() -> bool:
    """Whether torch has varlen attention with grouped heads, which came with 2.12."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return False
    return {"enable_gqa", "window_size"} <= inspect.signature(varlen_attn).parameters.keys()


@contextmanager
def varlen_attention(bundle: ModelBundle) -> Iterator[None]:
    """Attention of a card by row bounds inside the block; recomputation must happen inside, too.

    Raises:
        Unavailable: a run that packs its rows is gone on with on a card that cannot.
    """
    if bundle.device.type != "cuda":
        yield
        return
    reason = _kernel_obstacle(bundle)
    if reason is not None:
        raise Unavailable("engine.cannot-pack", reason=reason)
    from transformers import AttentionInterface

    # No mask is registered under this name, so none is built.
    AttentionInterface.register(ATTENTION, attend)
    config = without_wrapper(bundle.model).config
    before = config._attn_implementation
    config._attn_implementation = ATTENTION
    try:
        yield
    finally:
        config._attn_implementation = before


def attend(
    _module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _mask: torch.Tensor | None,
    **given: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention within each row of a packed line, in transformers' attention interface.

    Args:
        query: [1, heads, tokens, width].
        key: [1, key heads, tokens, width].
        value: as ``key``.
        given: ``scaling``, ``sliding_window``, ``cu_seq_lens_q`` and ``max_length_q``.
    """
    from torch.nn.attention import varlen

    bounds, longest = given["cu_seq_lens_q"], given["max_length_q"]
    window = given.get("sliding_window")
    found: Any = varlen.varlen_attn(
        query[0].transpose(0, 1),
        key[0].transpose(0, 1),
        value[0].transpose(0, 1),
        cu_seq_q=bounds,
        cu_seq_k=bounds,
        max_q=longest,
        max_k=longest,
        scale=given.get("scaling"),
        window_size=(-1 if window is None else window - 1, 0),
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return found.unsqueeze(0), None
