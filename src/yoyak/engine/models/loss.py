"""The training loss: the model over all tokens, its head on supervised positions only.

About one token in seven is supervised, so the head of a 150,000-token vocabulary does a seventh of
the work and its logits take a seventh of the memory. The model runs its own forward pass; only the
head's input is cut. So whatever an architecture does before and after its head (T5's scaling,
BART's bias, Gemma's softcapping, Granite's division) is the architecture's own code.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.nn.functional import cross_entropy  # noqa: TID253 -- as below

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.engine.models.collate import Batch, Packing
from yoyak.engine.models.model import unwrap_model


def loss_sum(model: torch.nn.Module, batch: Batch, label_smoothing: float = 0.0) -> torch.Tensor:
    """Return the cross entropy summed (not averaged) over the supervised tokens, in nats."""
    return cross_entropy(
        supervised_logits(model, batch),
        batch.targets,
        reduction="sum",
        label_smoothing=label_smoothing,
    )


def token_losses(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """Return the cross entropy of each supervised token, [n], in nats."""
    return cross_entropy(supervised_logits(model, batch), batch.targets, reduction="none")


def supervised_logits(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """Return fp32 logits at the supervised positions, [n, vocabulary], in the targets' order."""
    inputs: dict[str, Any] = {"input_ids": batch.input_ids, "use_cache": False}
    if batch.decoder_input_ids is not None:
        inputs["attention_mask"] = batch.attention_mask
        inputs["decoder_input_ids"] = batch.decoder_input_ids
    if batch.packing is not None:
        inputs |= _packing_inputs(batch.packing)
    inner = unwrap_model(model)
    with _head_at(inner, batch.label_positions):
        logits: torch.Tensor = inner(**inputs).logits
    return logits.flatten(0, 1).float()


@contextmanager
def _head_at(model: Any, positions: torch.Tensor) -> Iterator[None]:
    """Let the head see these positions of the flattened hidden states only, inside the block."""

    def select(_head: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[Any, ...]:
        hidden, *further = given
        return hidden.flatten(0, 1).index_select(0, positions)[None], *further

    hook = model.get_output_embeddings().register_forward_pre_hook(select)
    try:
        yield
    finally:
        hook.remove()


def _packing_inputs(packing: Packing) -> dict[str, Any]:
    """Return what separates packed rows: positions for a mask, ``cu_seqlens`` for varlen kernels.

    There must be no cache: with one, transformers does not look for rows in the positions.
    """
    return {
        "position_ids": packing.position_ids,
        "cu_seq_lens_q": packing.cu_seqlens,
        "cu_seq_lens_k": packing.cu_seqlens,
        "max_length_q": packing.max_seqlen,
        "max_length_k": packing.max_seqlen,
    }
