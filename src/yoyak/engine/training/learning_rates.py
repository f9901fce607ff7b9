"""Learning rates by parameter: LoRA+ for adapters, layer-wise decay for whole models."""

from collections.abc import Mapping

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import Recipe
from yoyak.engine.models.model import transformer_blocks, unwrap_model


def lr_scales(
    model: torch.nn.Module, named: Mapping[str, torch.nn.Parameter], recipe: Recipe
) -> dict[str, float]:
    """Return each trained parameter's learning rate as a multiple of the schedule's.

    Empty where all of them are 1.
    """
    if recipe.lora is not None and recipe.lora.loraplus_lr_ratio is not None:
        return loraplus_scales(named, recipe.lora.loraplus_lr_ratio)
    if recipe.train.layerwise_lr_decay is not None:
        return layerwise_scales(model, named, recipe.train.layerwise_lr_decay)
    return {}


def loraplus_scales(named: Mapping[str, torch.nn.Parameter], ratio: float) -> dict[str, float]:
    """Return ``ratio`` for B matrices and vectors (DoRA's magnitudes), 1 for A (PEFT's groups)."""
    return {
        name: ratio if ".lora_B." in name or value.ndim == 1 else 1.0
        for name, value in named.items()
    }


def layerwise_scales(
    model: torch.nn.Module, named: Mapping[str, torch.nn.Parameter], decay: float
) -> dict[str, float]:
    """Return ``decay`` to the number of blocks above a parameter (Clark 2020).

    Embeddings lie one below the first block. The two stacks of an encoder-decoder are counted from
    their own tops; head and final norms have 1.
    """
    stacks = _stacks(model)
    above: dict[torch.nn.Parameter, int] = {}
    for stack in stacks:
        for below, block in enumerate(stack):
            above |= dict.fromkeys(block.parameters(), len(stack) - 1 - below)
    deepest = max(map(len, stacks))
    for module in unwrap_model(model).modules():
        if isinstance(module, torch.nn.Embedding):
            above |= dict.fromkeys(
                (each for each in module.parameters() if each not in above), deepest
            )
    return {name: decay ** above.get(value, 0) for name, value in named.items()}


def _stacks(model: torch.nn.Module) -> list[list[torch.nn.Module]]:
    """Return the blocks of each stack, bottom first: encoder and decoder, or the only one."""
    inner = unwrap_model(model)
    if not inner.config.is_encoder_decoder:
        return [transformer_blocks(inner)]
    return [transformer_blocks(inner.get_encoder()), transformer_blocks(inner.get_decoder())]
