"""LoRA: add fresh adapters to a base model, or load trained ones."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import LoraSettings
from yoyak.engine.model_classes import Kind
from yoyak.engine.models.model import trainable_parameters
from yoyak.engine.models.reach import probe_inputs, unreached_linear_layers
from yoyak.engine.seed import seed_all
from yoyak.errors import RunFailed

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ADAPTERS = "adapter_model.safetensors"


def add_lora(model: torch.nn.Module, lora: LoraSettings, kind: Kind, seed: int) -> torch.nn.Module:
    """Freeze a model and add untrained float32 adapters to every linear layer that a text uses.

    The adapters' random weights depend on ``seed`` only. With PiSSA the base's matrices change: see
    ``initial_adapters``.
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
        use_rslora=lora.use_rslora,
        use_dora=lora.use_dora,
        init_lora_weights=lora.init_lora_weights or True,
        task_type="SEQ_2_SEQ_LM" if kind == "seq2seq" else "CAUSAL_LM",
    )
    seed_all(seed, "adapters")
    adapted: torch.nn.Module = get_peft_model(model, config, autocast_adapter_dtype=True)
    return adapted


def initial_adapters(model: torch.nn.Module, lora: LoraSettings) -> dict[str, torch.Tensor] | None:
    """Return copies of untrained adapters that do not start at zero (PiSSA), on the CPU; else None.

    PiSSA takes B₀A₀ out of the base. A file that goes with the published base holds BA - B₀A₀.
    """
    if lora.init_lora_weights is None:
        return None
    return {
        name: value.detach().to("cpu", copy=True)
        for name, value in trainable_parameters(model).items()
    }


def save_adapters(
    model: Any, folder: Path, initial: Mapping[str, torch.Tensor] | None = None
) -> None:
    """Write the adapters in PEFT's format, as ones for the published base.

    With ``initial``, they have twice the rank: [A, A₀] and [B, -B₀], under the same scale.
    """
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    # Asked about embeddings, PEFT would look up the base model on the hub.
    options: dict[str, Any] = {"save_embedding_layers": False}
    if initial is None:
        model.save_pretrained(folder, **options)
        return
    (name,) = model.peft_config
    config = model.peft_config[name]
    doubled = {
        key: _with_initial(key, value, initial)
        for key, value in trainable_parameters(model).items()
    }
    plain = copy.deepcopy(config)
    plain.r, plain.init_lora_weights, plain.inference_mode = 2 * config.r, True, True
    plain.lora_alpha = config.lora_alpha * (2**0.5 if config.use_rslora else 2)
    tensors = get_peft_model_state_dict(model, state_dict=doubled, **options)
    folder.mkdir(parents=True, exist_ok=True)
    plain.save_pretrained(folder)
    save_file(tensors, folder / ADAPTERS, metadata={"format": "pt"})


def _with_initial(
    name: str, value: torch.Tensor, initial: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    before = initial[name].to(value.device)
    if ".lora_A." in name:
        return torch.cat([value.detach(), before], dim=0)
    if ".lora_B." in name:
        return torch.cat([value.detach(), -before], dim=1)
    return value.detach()


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
