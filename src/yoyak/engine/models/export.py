"""Trained weights as a folder that transformers and peft read without this package.

The files are those of the run, byte for byte. Only what points into the run is written anew: where
adapters look for their base, and how a summary is generated.
"""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from yoyak.config.schema import BeamSearch, Decode, Recipe, Sampling
from yoyak.engine.models import weights as weighing
from yoyak.engine.models.load import SCRATCH
from yoyak.engine.models.weights import Form, SavedWeights
from yoyak.engine.tokenization import tokenizer as codecs
from yoyak.engine.tokenization.script_filter import blocked_token_ids
from yoyak.engine.tokenization.tokenizer import ModelTokenizer, load_tokenizer
from yoyak.errors import InputMissing
from yoyak.files import atomic
from yoyak.files.manifest import MANIFEST, MARKER

ADAPTERS = "adapter_config.json"
GENERATION = "generation_config.json"
_LEFT = {weighing.FILE, codecs.FILE, MANIFEST, MARKER, "README.md", GENERATION, ADAPTERS}
"""Ours, PEFT's empty model card, and what is written anew."""


class ExportedWeights(NamedTuple):
    """What lies in the folder; ``base`` is ``None`` where it needs no other model.

    A ``base`` that begins with ``./`` lies in the folder as well.
    """

    form: Form
    base: str | None
    revision: str | None


def export_weights(engine_folder: Path, recipe: Recipe, target: Path) -> ExportedWeights:
    """Copies the weights of a run, their tokenizer and their base from scratch to ``target``.

    Raises:
        InputMissing: there are no whole weights.
    """
    folder = engine_folder / weighing.FOLDER
    weights = weighing.read(folder)
    if weights is None:
        raise InputMissing("engine.no-weights", folder=folder)
    for path in folder.iterdir():
        if path.is_file() and path.name not in _LEFT:
            shutil.copyfile(path, target / path.name)
    settings = generation(
        load_tokenizer(str(folder), recipe), recipe.decode, weights.max_new_tokens
    )
    atomic.write_value(target / GENERATION, settings)
    if weights.form == "whole":
        return ExportedWeights("whole", None, None)
    return _with_base(engine_folder, weights, target)


def _with_base(engine_folder: Path, weights: SavedWeights, target: Path) -> ExportedWeights:
    """Adapters, or a zero-shot system's tokenizer, beside the name of their base."""
    base = weights.base
    if base == SCRATCH:
        base = f"./{SCRATCH}"
        ignored = shutil.ignore_patterns(MANIFEST, MARKER)
        shutil.copytree(engine_folder / SCRATCH, target / SCRATCH, ignore=ignored)
    if weights.form == "adapters":
        path = engine_folder / weighing.FOLDER / ADAPTERS
        named = {"base_model_name_or_path": base, "revision": weights.revision}
        atomic.write_value(target / ADAPTERS, msgspec.json.decode(path.read_bytes()) | named)
    return ExportedWeights(weights.form, base, weights.revision)


def generation(codec: ModelTokenizer, decode: Decode, max_new_tokens: int) -> dict[str, Any]:
    """The decoding as transformers' ``GenerationConfig`` has it.

    A ban on repeated n-grams is left out for causal models: transformers would hold the dialogue
    against the summary as well.
    """
    settings: dict[str, Any] = {
        "eos_token_id": list(codec.stop_ids),
        "pad_token_id": codec.pad_id,
        "max_new_tokens": decode.max_new_tokens or max_new_tokens,
        "do_sample": isinstance(decode, Sampling),
        "num_beams": decode.num_beams if isinstance(decode, BeamSearch) else 1,
    }
    if codec.decoder_start_id is not None:
        settings["decoder_start_token_id"] = codec.decoder_start_id
        settings["no_repeat_ngram_size"] = decode.no_repeat_ngram_size
    banned = blocked_token_ids(codec)
    if banned:
        settings["suppress_tokens"] = list(banned)
    match decode:
        case BeamSearch():
            settings["length_penalty"] = decode.length_penalty
            settings["min_new_tokens"] = decode.min_new_tokens or None
        case Sampling():
            settings |= {"temperature": decode.temperature, "top_p": decode.top_p, "top_k": 0}
        case _:
            pass
    return settings
