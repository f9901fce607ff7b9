"""CTranslate2: convert a model with the library's own loaders, and answer with the result."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.engine.exported import CTRANSLATE2_VOCABULARY as VOCABULARY
from yoyak.engine.exported import ExportedModel, ctranslate2_options
from yoyak.engine.formats.runtime import Answer, FolderTokenizer, answer_of, name_of, require
from yoyak.engine.inference.ctranslate2 import complete_bart_config
from yoyak.engine.models.model import ModelBundle
from yoyak.errors import BadRecipe
from yoyak.values import Source

DEFAULT = "float32"
QUANTISATIONS = (
    DEFAULT, "float16", "bfloat16", "int8", "int8_float32", "int8_float16", "int8_bfloat16",
)  # fmt: skip


def write_ctranslate2(bundle: ModelBundle, target: Path, quantisation: str) -> None:
    """Write the model in CTranslate2's format; the folder has its tokenizer already.

    Raises:
        Unavailable: CTranslate2 is not installed.
        BadRecipe: it has no converter for this architecture, or the converter fails.
    """
    require("ctranslate2", "ctranslate2")
    from ctranslate2.converters import transformers as converters
    from ctranslate2.converters.converter import Converter
    from transformers import PreTrainedTokenizerFast

    model: Any = bundle.model
    name = type(model.config).__name__
    loader = converters._MODEL_LOADERS.get(name)
    if loader is None:
        raise BadRecipe("export.no-converter", form="ctranslate2", type=model.config.model_type)
    if name == "BartConfig":
        complete_bart_config(model.config)
    _refuse_wide_heads(model.config)
    tokens: Any = PreTrainedTokenizerFast.from_pretrained(target)

    class OfThisModel(Converter):  # type: ignore[misc]
        def _load(self) -> Any:
            with torch.no_grad():
                return loader(model.float().cpu(), _Named(tokens, bundle))

    converted = target / "converted"
    try:
        OfThisModel().convert(str(converted), quantization=quantisation)
    except (AttributeError, NotImplementedError, ValueError) as error:
        raise BadRecipe(
            "export.converter-failed",
            form="ctranslate2",
            type=model.config.model_type,
            problem=error,
        ) from error
    for path in converted.iterdir():
        path.rename(target / path.name)
    converted.rmdir()


def _refuse_wide_heads(config: Any) -> None:
    """Refuse a Llama whose heads together are not as wide as it is: the loader knows no other.

    Raises:
        BadRecipe: it is one.
    """
    width = getattr(config, "head_dim", None)
    if config.model_type == "llama" and width is not None:
        heads = config.num_attention_heads
        if width * heads != config.hidden_size:
            raise BadRecipe(
                "export.converter-failed",
                form="ctranslate2",
                type="llama",
                problem=f"head_dim {width} × {heads} ≠ hidden_size {config.hidden_size}",
            )


class _Named:
    """A transformers tokenizer with the special tokens that the model was trained with."""

    def __init__(self, tokenizer: Any, bundle: ModelBundle) -> None:
        self._tokenizer = tokenizer
        own = bundle.tokenizer
        self.eos_token = own.id_to_token(own.stop_id)
        self.pad_token = own.id_to_token(own.pad_id)
        first = own.bos_id if own.bos_id is not None else own.pad_id
        self.bos_token = own.id_to_token(first)
        self.unk_token = None if own.unknown_id is None else own.id_to_token(own.unknown_id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)


class CTranslate2Runtime:
    """``ctranslate2.Translator`` or, for a causal model, ``ctranslate2.Generator``.

    Args:
        folder: of the exported model.
        exported: its record.
    """

    def __init__(self, folder: Path, exported: ExportedModel) -> None:
        self._exported = exported
        ctranslate2 = require("ctranslate2", "ctranslate2")
        self.name = name_of("ctranslate2")
        self._tokenizer = FolderTokenizer(folder, exported)
        self._causal = exported.kind == "causal"
        loaded = ctranslate2.Generator if self._causal else ctranslate2.Translator
        self._model: Any = loaded(str(folder), intra_threads=torch.get_num_threads())
        self._options = ctranslate2_options(exported) | {"return_end_token": True}
        vocabulary = json.loads((folder / VOCABULARY[exported.kind]).read_text("utf-8"))
        never = [[vocabulary[token]] for token in exported.suppress_tokens]
        self._options["suppress_sequences"] = never or None

    def answer(self, sources: Sequence[Source]) -> Iterator[Answer]:
        """Yield an answer to each prompt, in order."""
        for source in sources:
            prompt = self._tokenizer.encode(source)
            names = self._tokenizer.names(prompt)
            if self._causal:
                (result,) = self._model.generate_batch([names], **self._options)
                new = list(result.sequences_ids[0])
            else:
                (result,) = self._model.translate_batch([names], **self._options)
                new = self._tokenizer.ids(result.hypotheses[0])
            yield answer_of(prompt, new, self._tokenizer.decode(new), self._exported)
