"""The forward pass of training: backbone over everything, head on supervised places only.

About one token in seven is supervised, so the head of a 150,000-token vocabulary is spared six
sevenths of its work and its logits six sevenths of their memory.
"""

from typing import Any

from torch.nn.functional import cross_entropy  # noqa: TID253 -- as above

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.engine.models.collate import Batch, Packing
from yoyak.engine.models.model import parts


def supervised_logits(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """Logits in fp32 at the supervised places, [n, vocabulary], in the order of the targets."""
    backbone, head, bias = parts(model)
    inputs: dict[str, Any] = {"input_ids": batch.input_ids, "use_cache": False}
    if batch.decoder_input_ids is not None:
        inputs |= {
            "attention_mask": batch.attention_mask,
            "decoder_input_ids": batch.decoder_input_ids,
        }
    if batch.packing is not None:
        inputs |= _apart(batch.packing)
    hidden = backbone(**inputs).last_hidden_state
    logits: torch.Tensor = head(hidden.flatten(0, 1).index_select(0, batch.label_positions)).float()
    return logits if bias is None else logits + bias


def _apart(packing: Packing) -> dict[str, Any]:
    """What keeps packed rows apart: positions where a mask is built, bounds where none is.

    There must be no cache: with one, transformers does not look for rows in the positions.
    """
    return {
        "position_ids": packing.position_ids,
        "cu_seq_lens_q": packing.cu_seqlens,
        "cu_seq_lens_k": packing.cu_seqlens,
        "max_length_q": packing.max_seqlen,
        "max_length_k": packing.max_seqlen,
    }


def token_losses(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """Cross entropy of each supervised token, [n], in nats."""
    return cross_entropy(supervised_logits(model, batch), batch.targets, reduction="none")


def loss_sum(model: torch.nn.Module, batch: Batch, label_smoothing: float = 0.0) -> torch.Tensor:
    """Cross entropy summed (not averaged) over the batch's supervised tokens, in nats."""
    return cross_entropy(
        supervised_logits(model, batch),
        batch.targets,
        reduction="sum",
        label_smoothing=label_smoothing,
    )
