"""A model in memory with its tokenizer, its parts, and what its parameters are."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.engine.model_classes import Kind
from yoyak.errors import BadRecipe

if TYPE_CHECKING:
    from yoyak.engine.tokenization.encode import EncodedRow
    from yoyak.engine.tokenization.tokenizer import ModelTokenizer


class ModelBundle(NamedTuple):
    """A model on its device, with its tokenizer."""

    model: torch.nn.Module
    tokenizer: "ModelTokenizer"
    kind: Kind
    device: torch.device
    initial_adapters: Mapping[str, torch.Tensor] | None = None
    """Copies of adapters that did not start at zero (``lora.initial_adapters``)."""
    fuses_lora: bool = False
    """Whether blocks with adapters are fused where text is generated (``train.kernels``)."""


def unwrap_model(model: Any) -> Any:
    """Return the transformers model inside PEFT's wrapper; its adapters stay active."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def text_config(model: torch.nn.Module) -> Any:
    """Return the configuration of the part that writes text, of an encoder-decoder the decoder."""
    return unwrap_model(model).config.get_text_config(decoder=True)


@contextmanager
def attention_function(config: Any, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Compute the attention of the models of ``config`` with ``function`` inside the block.

    Args:
        config: of the model, or of one half of an encoder-decoder.
        name: of the function in transformers' ``AttentionInterface``. No mask function has it, so
            transformers makes no mask.
        function: as the interface says.
    """
    from transformers import AttentionInterface

    AttentionInterface.register(name, function)
    before = config._attn_implementation
    config._attn_implementation = name
    try:
        yield
    finally:
        config._attn_implementation = before


def transformer_blocks(model: torch.nn.Module) -> list[torch.nn.Module]:
    """Return the transformer blocks of a model in order, of BART the encoder's first."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    return [part for part in model.modules() if isinstance(part, GradientCheckpointingLayer)]


def trainable_parameters(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """Return the trainable parameters by name; a tied weight appears once."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def count_parameters(parameters: Iterable[torch.nn.Parameter]) -> int:
    """Count weights, not bytes: a packed 4-bit tensor counts every weight it stands for."""
    return sum(_number_of_weights(parameter) for parameter in parameters)


def _number_of_weights(parameter: torch.nn.Parameter) -> int:
    state = getattr(parameter, "quant_state", None)
    return parameter.numel() if state is None else torch.Size(state.shape).numel()


def positions_needed(kind: Kind, source_tokens: int, answer_tokens: int) -> int:
    """Return the positions of a row: the longer side of an encoder-decoder, else the sum."""
    if kind == "seq2seq":
        return max(source_tokens, answer_tokens)
    return source_tokens + answer_tokens


def position_limit(model: torch.nn.Module) -> int | None:
    """Return the positions the model was built for, ``None`` if relative ones set no limit.

    An encoder-decoder made of two models has the smaller number of the two.
    """
    inner = unwrap_model(model)
    sides = [text_config(model)]
    if inner.config.is_encoder_decoder:
        sides.append(inner.get_encoder().config)
    limits = [getattr(side, "max_position_embeddings", None) for side in sides]
    return min((limit for limit in limits if limit is not None), default=None)


def refuse_beyond_positions(bundle: ModelBundle, rows: Sequence["EncodedRow"]) -> None:
    """Check that every training row fits the positions the model was built for.

    Raises:
        BadRecipe: one does not; the message names the longest row.
    """
    positions = position_limit(bundle.model)
    if positions is None or not rows:
        return

    def needed(row: "EncodedRow") -> int:
        return positions_needed(bundle.kind, len(row.source_ids), len(row.answer_ids))

    longest = max(rows, key=needed)
    if needed(longest) > positions:
        raise BadRecipe(
            "engine.beyond-training-positions",
            id=longest.id,
            needed=needed(longest),
            positions=positions,
        )
