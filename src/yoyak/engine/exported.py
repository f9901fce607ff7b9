"""The record ``export.json`` of an exported model: what has to be known to use it as trained.

It stands beside the weights of every form. Whoever loads the folder takes prompt, chat template,
decoding, stop tokens and clean-up from it; nothing of a run is needed. No torch is imported.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from yoyak.config.schema import BeamSearch, Decode, PromptSettings
from yoyak.engine.model_classes import Kind
from yoyak.engine.tokenization.special_tokens import SpecialTokens
from yoyak.errors import BadData, InputMissing
from yoyak.files.format import EXPORT, decode_record
from yoyak.values import Interval, Rouge, Value

Converted = Literal["merged", "gguf", "onnx", "ctranslate2"]
"""The formats that trained weights are converted to."""
ExportForm = Literal["adapters", "whole", "base"] | Converted
"""``adapters``, ``whole`` and ``base`` are weights as they were trained, byte for byte."""
FILE = "export.json"
CTRANSLATE2_VOCABULARY: Mapping[Kind, str] = {
    "seq2seq": "shared_vocabulary.json", "causal": "vocabulary.json",
}  # fmt: skip
"""CTranslate2's file of token names by id; rows without a token have a name there, too."""
PLACE = "{dialogue}"
"""Stands for the dialogue in ``ExportedModel.prompt_text``."""


class FormScore(Value, frozen=True, kw_only=True):
    """ROUGE F1 of one form on the checked rows of dev; ``interval`` is of the mean of the three."""

    rouge: Rouge
    interval: Interval


class FormCheck(Value, frozen=True, kw_only=True):
    """What an exported form answered in its own runtime, beside the run it was made from.

    Both answer the same rows of dev with the same ``decode``.
    """

    runtime: str
    """Name and version of the library that answered."""
    rows: int
    decode: Decode
    run_decode: Decode
    """The recipe's own, which a runtime may not have."""
    equal_prompts: int
    """Rows whose prompt the runtime's own tokenizer turned into the ids of training."""
    equal_answers: int
    """Rows with the same summary, character by character."""
    original: FormScore
    exported: FormScore
    difference: Interval
    """95 % interval of the mean of (exported - original) ROUGE, paired by row, 0 to 1."""
    protocol: str
    """Signature of the metric."""

    @property
    def is_equal(self) -> bool:
        """Whether every prompt and every answer was the same."""
        return self.equal_prompts == self.equal_answers == self.rows


class ExportedModel(Value, frozen=True, kw_only=True):
    """How the weights of a folder are used: prompt, decoding, stop tokens and clean-up."""

    form: ExportForm
    kind: Kind
    run: str
    model_type: str
    """As in ``config.json``."""
    base: str | None
    """The model that the weights are loaded on: hub id, absolute path, or ``./base`` in the folder.
    ``None``: no other."""
    revision: str | None
    quantisation: str
    """Number format of the weights, by the format's own name: ``bfloat16``, ``Q8_0``."""
    prompt: PromptSettings
    chat_template: str | None
    """Jinja that renders the prompts of training without any argument but the messages."""
    prompt_text: str
    """A whole prompt, special tokens spelt out, with ``{dialogue}`` where the dialogue stands."""
    special_tokens: SpecialTokens
    """Their ids, and what separates the lines of a prompt."""
    stop_tokens: tuple[str, ...]
    """The tokens that end an answer, by name."""
    decode: Decode
    max_new_tokens: int
    """Limit of each answer where ``decode`` has none."""
    suppress_tokens: tuple[int, ...]
    """Ids that are never generated."""
    tags_are_tokens: bool
    """The argument of ``data.clean.summary_of``, which cleans every answer."""
    check: FormCheck | None = None
    """``None``: not checked."""
    format: int = EXPORT.number

    @property
    def longest_answer(self) -> int:
        """The most tokens of an answer, its end included."""
        return self.decode.max_new_tokens or self.max_new_tokens


def read_exported(folder: Path) -> ExportedModel:
    """Return the record of an exported folder.

    Raises:
        InputMissing: there is none.
        BadData: it is broken, or of a newer version.
    """
    path = folder / FILE
    if not path.is_file():
        raise InputMissing("export.no-record", folder=folder)
    try:
        return decode_record(path.read_bytes(), ExportedModel, EXPORT, path)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadData("runs.bad-record", path=path, problem=error) from error


def ctranslate2_options(exported: ExportedModel) -> dict[str, Any]:
    """Return the record's decoding as arguments of ``translate_batch`` or ``generate_batch``."""
    causal, decode = exported.kind == "causal", exported.decode
    options: dict[str, Any] = {
        "beam_size": decode.num_beams if isinstance(decode, BeamSearch) else 1,
        "end_token": list(exported.stop_tokens),
    }
    if causal:
        options |= {"max_length": exported.longest_answer, "include_prompt_in_result": False}
    else:
        options |= {"max_decoding_length": exported.longest_answer, "max_input_length": 0}
        options["no_repeat_ngram_size"] = decode.no_repeat_ngram_size
    if isinstance(decode, BeamSearch):
        least = "min_length" if causal else "min_decoding_length"
        options |= {"length_penalty": decode.length_penalty, least: decode.min_new_tokens}
    return options
