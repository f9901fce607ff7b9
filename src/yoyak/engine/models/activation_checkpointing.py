"""Activation checkpointing: compute a block's activations again instead of keeping them.

transformers checkpoints each block whose flag is set. Keeping the outputs of matrix products
instead of whole blocks would save a fifth below adapters, whose own products double their number,
and unpack every 4-bit matrix again (docs/engine.md).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import Recompute
from yoyak.engine.models.model import transformer_blocks, unwrap_model


def checkpoint_blocks(model: torch.nn.Module, level: Recompute) -> None:
    """Checkpoint every block, every second one, or none."""
    inner: Any = unwrap_model(model)
    if level is not Recompute.NOTHING:
        # Non-reentrant checkpoints follow gradients into frozen layers by themselves.
        # transformers 5.17 only has the older name, which goes with version 6.
        enable = getattr(inner, "activation_checkpointing_enable", None)
        (enable or inner.gradient_checkpointing_enable)({"use_reentrant": False})
    block: Any
    for index, block in enumerate(transformer_blocks(model)):
        alternate = level is Recompute.ALTERNATE and index % 2 == 0
        block.gradient_checkpointing = level is Recompute.EVERYTHING or alternate


def recomputable(block: Any, forward: Callable[..., Any]) -> Callable[..., Any]:
    """Return a replacement of a block's ``forward`` that is checkpointed where the block is.

    From transformers 5.23 on this is a part of the class's ``forward``, which a replacement on the
    instance bypasses; before, it is a part of the call, and nothing is needed.

    Args:
        block: of ``transformer_blocks``.
        forward: the replacement; in training it gets no keys and values of earlier tokens.
    """
    from transformers.modeling_layers import GradientCheckpointingLayer

    if "__call__" in vars(GradientCheckpointingLayer):
        return forward

    def forward_or_recompute(*given: Any, **settings: Any) -> Any:
        if block.gradient_checkpointing and block.training:
            return block._gradient_checkpointing_func(partial(forward, **settings), *given)
        return forward(*given, **settings)

    return forward_or_recompute
