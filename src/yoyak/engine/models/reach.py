"""What of a model the gradient of a text reaches: nothing else can be trained or adapted.

Out of reach are the pooler of a BERT in an encoder-decoder, the vision tower of a multimodal model,
and sinusoidal position tables (Pegasus), which the forward pass reads without a gradient.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.engine.models.model import trainable_parameters, unwrap_model

PROBE_TOKENS = 8


def probe_inputs(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return a row of a few ids, [1, tokens], as inputs of a forward pass."""
    inner = unwrap_model(model)
    ids = torch.arange(1, 1 + PROBE_TOKENS, device=inner.device)[None]
    decoder = {"decoder_input_ids": ids} if inner.config.is_encoder_decoder else {}
    return {"input_ids": ids} | decoder


def linear_layers(model: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """Return the linear layers by name, GPT-2's transposed ones included, without the head."""
    from transformers.pytorch_utils import Conv1D

    head = unwrap_model(model).get_output_embeddings()
    return {
        name: part
        for name, part in model.named_modules()
        if isinstance(part, torch.nn.Linear | Conv1D) and part is not head
    }


def unreached_linear_layers(model: torch.nn.Module) -> list[str]:
    """Return the names of the linear layers whose output no logit depends on."""
    layers = linear_layers(model)
    reached: set[torch.nn.Module] = set()

    def watch(part: torch.nn.Module, _given: object, output: torch.Tensor) -> None:
        if not output.requires_grad:
            output.requires_grad_(True)
        output.register_hook(lambda _: reached.add(part))  # type: ignore[no-untyped-call]

    hooks = [part.register_forward_hook(watch) for part in layers.values()]
    try:
        with _logits_sum(model) as total:
            torch.autograd.backward(total)
    finally:
        for hook in hooks:
            hook.remove()
    return [name for name, part in layers.items() if part not in reached]


def freeze_unreached(model: torch.nn.Module) -> list[str]:
    """Freeze the parameters that get no gradient; return their names."""
    with _logits_sum(model) as total:
        torch.autograd.backward(total)
        unreached = {
            name: value for name, value in trainable_parameters(model).items() if value.grad is None
        }
    for value in unreached.values():
        value.requires_grad_(False)
    return list(unreached)


@contextmanager
def _logits_sum(model: torch.nn.Module) -> Iterator[torch.Tensor]:
    """Run a forward pass in evaluation mode (training may skip layers); clear gradients after."""
    training = model.training
    model.eval()
    try:
        yield model(**probe_inputs(model)).logits.sum()
    finally:
        model.zero_grad(set_to_none=True)
        model.train(training)
