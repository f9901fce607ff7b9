"""A model in memory: with its codec, what it is made of, and the way to its supervised logits."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.errors import BadRecipe

if TYPE_CHECKING:
    from yoyak.engine.tokenization.encode import EncodedRow
    from yoyak.engine.tokenization.tokenizer import ModelTokenizer

Kind = Literal["seq2seq", "causal"]


class ModelBundle(NamedTuple):
    """A model on its device, with the codec its ids belong to."""

    model: torch.nn.Module
    tokenizer: "ModelTokenizer"
    kind: Kind
    device: torch.device


class ModelParts(NamedTuple):
    """A language model apart: ``backbone`` gives hidden states, ``head`` makes them logits.

    ``bias`` is added to the logits (BART has one); [1, vocabulary].
    """

    backbone: torch.nn.Module
    head: torch.nn.Module
    bias: torch.Tensor | None


def parts(model: torch.nn.Module) -> ModelParts:
    """Backbone and head of a transformers model, adapters (which live inside) included."""
    inner: Any = without_wrapper(model)
    return ModelParts(
        backbone=getattr(inner, inner.base_model_prefix),
        head=inner.get_output_embeddings(),
        bias=getattr(inner, "final_logits_bias", None),
    )


def without_wrapper(model: Any) -> Any:
    """The transformers model below PEFT's wrapper; its adapters stay in place and active."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def blocks(model: torch.nn.Module) -> list[torch.nn.Module]:
    """The blocks of a transformers model, in order; of BART the encoder's first."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    return [part for part in model.modules() if isinstance(part, GradientCheckpointingLayer)]


def trainable_parameters(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """The parameters that learn, by name; a tied weight appears once."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def count_parameters(parameters: Iterable[torch.nn.Parameter]) -> int:
    """Weights, not bytes: a packed 4-bit tensor counts each weight it stands for."""
    return sum(_weights_of(parameter) for parameter in parameters)


def _weights_of(parameter: torch.nn.Parameter) -> int:
    state = getattr(parameter, "quant_state", None)
    return parameter.numel() if state is None else torch.Size(state.shape).numel()


def refuse_beyond_positions(bundle: ModelBundle, rows: Sequence["EncodedRow"]) -> None:
    """Checks that every training row fits the positions the model was built for.

    Raises:
        BadRecipe: one does not; the message names the longest row.
    """
    positions: int | None = getattr(bundle.model.config, "max_position_embeddings", None)
    if positions is None or not rows:
        return
    longest = max(rows, key=lambda row: _positions(row, bundle.kind))
    needed = _positions(longest, bundle.kind)
    if needed > positions:
        raise BadRecipe(
            "engine.beyond-training-positions",
            id=longest.id,
            needed=needed,
            positions=positions,
        )


def _positions(row: "EncodedRow", kind: Kind) -> int:
    source, answer = len(row.source_ids), len(row.answer_ids)
    return max(source, answer) if kind == "seq2seq" else source + answer
