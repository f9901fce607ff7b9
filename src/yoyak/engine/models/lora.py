"""LoRA: add fresh adapters to a base model, or load trained ones."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import LoraSettings
from yoyak.engine.model_classes import Kind
from yoyak.engine.models.reach import probe_inputs, unreached_linear_layers
from yoyak.engine.seed import seed_all
from yoyak.errors import RunFailed

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def add_lora(model: torch.nn.Module, lora: LoraSettings, kind: Kind, seed: int) -> torch.nn.Module:
    """Freeze a model and add untrained float32 adapters to every linear layer that a text uses.

    The adapters' random weights depend on ``seed`` only.
    """
    from peft import LoraConfig, get_peft_model
    from transformers.pytorch_utils import Conv1D

    model.requires_grad_(False)
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.lora_alpha,
        lora_dropout=lora.lora_dropout,
        target_modules=lora.target_modules,
        exclude_modules=unreached_linear_layers(model) or None,
        fan_in_fan_out=any(isinstance(part, Conv1D) for part in model.modules()),
        bias="none",
        task_type="SEQ_2_SEQ_LM" if kind == "seq2seq" else "CAUSAL_LM",
    )
    seed_all(seed, "adapters")
    adapted: torch.nn.Module = get_peft_model(model, config, autocast_adapter_dtype=True)
    return adapted


def load_adapters(model: "PreTrainedModel", folder: Path) -> torch.nn.Module:
    """Return the model with the adapters saved in ``folder``, active.

    Raises:
        RunFailed: the adapters change nothing: they are zero or were not loaded.
    """
    from peft import PeftModel

    adapted: torch.nn.Module = PeftModel.from_pretrained(model, folder)
    _check_adapters_active(adapted, folder)
    return adapted


def _check_adapters_active(model: Any, folder: Path) -> None:
    """Compare the logits with and without the adapters, which must differ."""
    inputs = probe_inputs(model)
    model.eval()
    with torch.no_grad():
        on = model(**inputs).logits
        with model.disable_adapter():
            off = model(**inputs).logits
    if torch.equal(on, off):
        raise RunFailed("engine.adapters-absent", folder=folder)
