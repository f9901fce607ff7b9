"""The result of training: ``weights/``, a whole folder with its codec and where it comes from.

A model that was trained whole lies there complete, adapters lie there alone (in PEFT's format,
beside the base's name), and a zero-shot system is the base's name only.
"""

from pathlib import Path
from typing import Any, Literal

import msgspec

from yoyak.config.schema import Recipe
from yoyak.engine.device import detect
from yoyak.engine.models.load import SCRATCH, BaseModel, load_base
from yoyak.engine.models.lora import load_adapters
from yoyak.engine.models.model import Kind, ModelBundle
from yoyak.engine.tokenization.tokenizer import load_tokenizer
from yoyak.errors import InputMissing
from yoyak.files import atomic
from yoyak.values import DevMetric, Value

Form = Literal["whole", "adapters", "base"]
FILE = "weights.json"
FOLDER = "weights"


class SavedWeights(Value, frozen=True, kw_only=True):
    """What lies in a weights folder; ``dev_value`` is what it was chosen by, if it was judged."""

    form: Form
    base: str
    revision: str | None
    base_sha256: str
    learning_hash: str
    data_sha256: str
    step: int
    max_new_tokens: int
    """The longest answer worth waiting for, from the training answers."""
    metric: DevMetric = DevMetric.ROUGE_MEAN
    dev_value: float | None = None
    examples: tuple[str, ...] = ()
    """Ids of the train rows that every prompt shows as examples."""


def read(folder: Path) -> SavedWeights | None:
    """What the whole folder ``folder`` holds; ``None`` if it is not there or not whole."""
    if atomic.verify_folder(folder) is None:
        return None
    return msgspec.json.decode((folder / FILE).read_bytes(), type=SavedWeights)


def write(folder: Path, weights: SavedWeights, bundle: ModelBundle) -> None:
    """Writes ``bundle`` as it stands.

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
    # Asked about embeddings, PEFT would look the base model up on the hub.
    further = {"save_embedding_layers": False} if adapters else {}
    model: Any = bundle.model
    model.save_pretrained(folder, **further)


def load(engine_folder: Path, kind: Kind, recipe: Recipe) -> tuple[ModelBundle, SavedWeights]:
    """The trained system in memory, ready to generate.

    Raises:
        InputMissing: there are no whole weights.
        Unavailable: the base cannot be loaded.
        RunFailed: the adapters did not arrive in the model.
    """
    folder = engine_folder / FOLDER
    weights = read(folder)
    if weights is None:
        raise InputMissing("engine.no-weights", folder=folder)
    hardware = detect()
    model: Any = load_base(_place(weights, engine_folder), kind, recipe, hardware)
    if weights.form == "adapters":
        model = load_adapters(model, folder)
    model.eval()
    tokenizer = load_tokenizer(str(folder), recipe)
    return ModelBundle(model, tokenizer, kind, hardware.device), weights


def _place(weights: SavedWeights, engine_folder: Path) -> BaseModel:
    """Where the model itself is; a scratch base moves with its run folder."""
    if weights.form == "whole":
        place = str(engine_folder / FOLDER)
    elif weights.base == SCRATCH:
        place = str(engine_folder / SCRATCH)
    else:
        place = weights.base
    return BaseModel(place, weights.revision, weights.base_sha256)
