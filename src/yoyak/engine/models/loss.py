"""The training loss: the model over all tokens, its head on supervised positions only.

About one token in seven is supervised, so the head of a 150,000-token vocabulary does a seventh of
the work and its logits take a seventh of the memory. The model runs its own forward pass; only the
head's input is cut. So whatever an architecture does before and after its head (T5's scaling,
BART's bias, Gemma's softcapping, Granite's division) is the architecture's own code.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from torch.nn.functional import cross_entropy, kl_div, log_softmax  # noqa: TID253 -- as below

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.engine.models.collate import Batch, Packing, collate
from yoyak.engine.models.model import ModelBundle, unwrap_model
from yoyak.errors import BadRecipe

if TYPE_CHECKING:
    from yoyak.engine.tokenization.encode import EncodedRow


def loss_sum(model: torch.nn.Module, batch: Batch, label_smoothing: float = 0.0) -> torch.Tensor:
    """Return the cross entropy summed (not averaged) over the supervised tokens, in nats."""
    return cross_entropy(
        supervised_logits(model, batch),
        batch.targets,
        reduction="sum",
        label_smoothing=label_smoothing,
    )


def rdrop_loss_sum(
    model: torch.nn.Module, batch: Batch, alpha: float, label_smoothing: float = 0.0
) -> torch.Tensor:
    """Return R-Drop's loss (Liang 2021) summed over the supervised tokens of half the batch.

    The second half repeats the first, with other dropout: the mean of both cross entropies, plus
    ``alpha`` times the mean of the two Kullback-Leibler divergences between them.
    """
    logits = supervised_logits(model, batch)
    cross = cross_entropy(logits, batch.targets, reduction="sum", label_smoothing=label_smoothing)
    one, other = log_softmax(logits, dim=-1).chunk(2)
    apart = kl_div(one, other, reduction="sum", log_target=True)
    apart = apart + kl_div(other, one, reduction="sum", log_target=True)
    return (cross + alpha * apart) / 2


def refuse_without_dropout(bundle: ModelBundle, row: "EncodedRow") -> None:
    """Check that two forward passes in training mode can differ, as R-Drop needs them to.

    Adapters hide their dropout while B is zero, so a layer of it counts; BART and others drop out
    without a layer, so two passes are compared.

    Raises:
        BadRecipe: the model has no dropout.
    """
    model = bundle.model
    if any(isinstance(part, torch.nn.Dropout) and part.p for part in model.modules()):
        return
    was_training = model.training
    devices = [bundle.device] if bundle.device.type == "cuda" else []
    batch = collate([row], bundle.tokenizer, bundle.kind, bundle.device)
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        model.train()
        one, other = (supervised_logits(model, batch) for _ in range(2))
    model.train(was_training)
    if torch.equal(one, other):
        raise BadRecipe("engine.no-dropout")


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
