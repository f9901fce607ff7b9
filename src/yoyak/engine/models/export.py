"""Export trained weights as a folder that transformers and peft read without this package.

Files are copied byte for byte. Only what refers to the run is rewritten: the adapters' base, and
the generation config.
"""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from yoyak.config.schema import BeamSearch, Decode, Recipe, Sampling
from yoyak.engine.models import weights
from yoyak.engine.models.load import SCRATCH
from yoyak.engine.models.weights import SavedWeights, WeightsForm
from yoyak.engine.tokenization.script_filter import blocked_token_ids
from yoyak.engine.tokenization.tokenizer import ModelTokenizer, load_tokenizer
from yoyak.errors import InputMissing
from yoyak.files import atomic
from yoyak.files.manifest import MANIFEST, MARKER

ADAPTER_CONFIG = "adapter_config.json"
TEMPLATE = "chat_template.jinja"
GENERATION_CONFIG = "generation_config.json"
_NOT_COPIED = {
    *(weights.FILE, MANIFEST, MARKER),
    "README.md",  # PEFT's empty model card
    *(GENERATION_CONFIG, ADAPTER_CONFIG),  # rewritten
}


class ExportedWeights(NamedTuple):
    """What an exported folder holds; ``base`` is ``None`` where it needs no other model.

    A ``base`` that begins with ``./`` is in the folder as well, any other folder is an absolute
    path; ``model_type`` is empty where only the base's own folder has it.
    """

    form: WeightsForm
    base: str | None
    revision: str | None
    model_type: str
    max_new_tokens: int
    suppress_tokens: tuple[int, ...]


def export_weights(engine_folder: Path, recipe: Recipe, target: Path) -> ExportedWeights:
    """Copy a run's weights, tokenizer and scratch base (if any) into the folder ``target``.

    Raises:
        InputMissing: there are no whole weights.
    """
    folder = engine_folder / weights.FOLDER
    saved = weights.read(folder)
    if saved is None:
        raise InputMissing("engine.no-weights", folder=folder)
    for path in folder.iterdir():
        if path.is_file() and path.name not in _NOT_COPIED:
            shutil.copyfile(path, target / path.name)
    base = None if saved.form == "whole" else _export_base(engine_folder, saved, target)
    config = _read_config(target / ("config.json" if base is None else f"{base}/config.json"))
    tokenizer = load_tokenizer(str(folder), recipe)
    save_standalone_template(tokenizer, target)
    text = config.get("text_config", config)
    suppressed = suppressed_token_ids(tokenizer, text.get("vocab_size", 0))
    settings = generation_config(tokenizer, recipe.decode, saved.max_new_tokens, suppressed)
    atomic.write_value(target / GENERATION_CONFIG, settings)
    return ExportedWeights(
        form=saved.form,
        base=base,
        revision=None if base is None else saved.revision,
        model_type=config.get("model_type", ""),
        max_new_tokens=saved.max_new_tokens,
        suppress_tokens=suppressed,
    )


def _read_config(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(path.read_bytes()) if path.is_file() else {}
    return found


def save_standalone_template(tokenizer: ModelTokenizer, target: Path) -> None:
    """Write the chat template of a causal model so that it needs no arguments."""
    if tokenizer.style == "chat":
        atomic.write_text(target / TEMPLATE, tokenizer.template.standalone)


def suppressed_token_ids(tokenizer: ModelTokenizer, embedding_rows: int) -> tuple[int, ...]:
    """Return what is never generated: tokens of other scripts, and rows without a token."""
    unused = range(tokenizer.vocab_size, embedding_rows)
    return (*blocked_token_ids(tokenizer), *unused)


def _export_base(engine_folder: Path, saved: SavedWeights, target: Path) -> str:
    """Copy a scratch base, write the base's name into the adapter config, and return it."""
    base = saved.base
    if base == SCRATCH:
        base = f"./{SCRATCH}"
        ignored = shutil.ignore_patterns(MANIFEST, MARKER)
        shutil.copytree(engine_folder / SCRATCH, target / SCRATCH, ignore=ignored)
    elif Path(base).is_dir():
        base = str(Path(base).resolve())
    if saved.form == "adapters":
        config = msgspec.json.decode((engine_folder / weights.FOLDER / ADAPTER_CONFIG).read_bytes())
        base_fields = {"base_model_name_or_path": base, "revision": saved.revision}
        atomic.write_value(target / ADAPTER_CONFIG, config | base_fields)
    return base


def generation_config(
    tokenizer: ModelTokenizer,
    decode: Decode,
    max_new_tokens: int,
    suppress_tokens: tuple[int, ...],
) -> dict[str, Any]:
    """Return the decoding settings as fields of transformers' ``GenerationConfig``.

    A ban on repeated n-grams is left out for causal models, where transformers would count the
    dialogue's n-grams, too.
    """
    settings: dict[str, Any] = {
        "eos_token_id": list(tokenizer.stop_ids),
        "pad_token_id": tokenizer.pad_id,
        "max_new_tokens": decode.max_new_tokens or max_new_tokens,
        "do_sample": isinstance(decode, Sampling),
        "num_beams": decode.num_beams if isinstance(decode, BeamSearch) else 1,
    }
    if tokenizer.decoder_start_id is not None:
        settings["decoder_start_token_id"] = tokenizer.decoder_start_id
        settings["no_repeat_ngram_size"] = decode.no_repeat_ngram_size
    if suppress_tokens:
        settings["suppress_tokens"] = list(suppress_tokens)
    match decode:
        case BeamSearch():
            settings["length_penalty"] = decode.length_penalty
            settings["min_new_tokens"] = decode.min_new_tokens or None
        case Sampling():
            settings |= {"temperature": decode.temperature, "top_p": decode.top_p, "top_k": 0}
        case _:
            pass
    return settings
