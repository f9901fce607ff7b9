"""The result of training: ``weights/``, a whole folder with its tokenizer and its origin.

A fully fine-tuned model is complete in it; LoRA adapters are there alone (in PEFT's format, with
the base's name); a zero-shot system is the base's name only.
"""

from pathlib import Path
from typing import Any, Literal

import msgspec

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import Recipe
from yoyak.engine.device import detect
from yoyak.engine.model_classes import Kind
from yoyak.engine.models.kernels import KernelOptions
from yoyak.engine.models.load import SCRATCH, BaseModel, load_base
from yoyak.engine.models.lora import load_adapters, save_adapters
from yoyak.engine.models.model import ModelBundle
from yoyak.engine.tokenization.tokenizer import load_tokenizer
from yoyak.errors import InputMissing, RunFailed
from yoyak.files import atomic
from yoyak.values import DevMetric, Value

WeightsForm = Literal["whole", "adapters", "base"]
FILE = "weights.json"
FOLDER = "weights"


class SavedWeights(Value, frozen=True, kw_only=True):
    """The content of a weights folder; ``dev_value`` is the score that chose it, if evaluated."""

    form: WeightsForm
    base: str
    revision: str | None
    base_sha256: str
    learning_hash: str
    data_sha256: str
    step: int
    max_new_tokens: int
    """Limit of generated tokens, from the lengths of the training answers."""
    metric: DevMetric = DevMetric.ROUGE_MEAN
    dev_value: float | None = None
    averaged: bool = False
    """They are the moving average over the steps up to ``step`` (``train.ema_decay``)."""
    examples: tuple[str, ...] = ()
    """Ids of the train rows that are the few-shot examples of every prompt."""


def read(folder: Path) -> SavedWeights | None:
    """Return what ``folder`` holds; ``None`` if it is absent or not whole."""
    if atomic.verify_folder(folder) is None:
        return None
    return msgspec.json.decode((folder / FILE).read_bytes(), type=SavedWeights)


def write(folder: Path, weights: SavedWeights, bundle: ModelBundle) -> None:
    """Write ``bundle`` in its present state; the folder appears whole or not at all.

    Raises:
        DiskFull, CannotWrite: nothing is left behind.
    """
    notes = {"step": str(weights.step), "learning_hash": weights.learning_hash}
    with atomic.whole_folder(folder, notes) as temporary:
        if weights.form != "base":
            _save(bundle, temporary, adapters=weights.form == "adapters")
        bundle.tokenizer.save(temporary)
        (temporary / FILE).write_bytes(msgspec.json.encode(weights))


def _save(bundle: ModelBundle, folder: Path, *, adapters: bool) -> None:
    model: Any = bundle.model
    if adapters:
        save_adapters(model, folder, bundle.initial_adapters)
    else:
        model.save_pretrained(folder)


def load(engine_folder: Path, kind: Kind, recipe: Recipe) -> tuple[ModelBundle, SavedWeights]:
    """Load the trained model in evaluation mode.

    Raises:
        InputMissing: there are no whole weights.
        Unavailable: the base cannot be loaded.
        RunFailed: the adapters change nothing, or the model does not fit in memory.
    """
    folder = engine_folder / FOLDER
    weights = read(folder)
    if weights is None:
        raise InputMissing("engine.no-weights", folder=folder)
    hardware = detect()
    model: Any = load_base(_base_of(weights, engine_folder), kind, recipe, hardware)
    if weights.form == "adapters":
        model = load_adapters(model, folder)
    model.eval()
    tokenizer = load_tokenizer(str(folder), recipe)
    fuses_lora = KernelOptions.of(recipe.train).fused
    bundle = ModelBundle(model, tokenizer, kind, hardware.device, fuses_lora=fuses_lora)
    return bundle, weights


def load_trained(bundle: ModelBundle, folder: Path) -> None:
    """Load the weights of ``folder`` into a model of the same form, to train them further.

    Raises:
        InputMissing: there are no whole weights.
        RunFailed: they are of another form.
    """
    found = read(folder)
    if found is None:
        raise InputMissing("engine.no-weights", folder=folder)
    tensors = read_tensors(folder)
    model: Any = bundle.model
    if found.form == "adapters":
        from peft import set_peft_model_state_dict

        loaded: Any = set_peft_model_state_dict(model, tensors)
        unknown = loaded.unexpected_keys
    else:
        unknown = model.load_state_dict(tensors, strict=False).unexpected_keys
    if unknown or not tensors:
        raise RunFailed("engine.other-tensors", count=len(unknown), first=next(iter(unknown), "–"))


def read_tensors(folder: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of every safetensors file of a folder."""
    from safetensors.torch import load_file

    tensors: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        tensors |= load_file(path)
    return tensors


def _base_of(weights: SavedWeights, engine_folder: Path) -> BaseModel:
    """Locate the base; one from scratch is found relative to the run, which may have moved."""
    if weights.form == "whole":
        name_or_path = str(engine_folder / FOLDER)
    elif weights.base == SCRATCH:
        name_or_path = str(engine_folder / SCRATCH)
    else:
        name_or_path = weights.base
    return BaseModel(name_or_path, weights.revision, weights.base_sha256)
