"""Whole weights in safetensors, and the runtime of everything that transformers and PEFT load."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import Recipe
from yoyak.engine.device import detect
from yoyak.engine.exported import ExportedModel
from yoyak.engine.formats.runtime import Answer, FolderTokenizer, answer_of, name_of
from yoyak.engine.models.load import forbid_cpu_repacking
from yoyak.engine.models.model import ModelBundle
from yoyak.values import Source

SHARD_SIZE = "5GB"


def write_merged(bundle: ModelBundle, target: Path) -> None:
    """Write the weights in bfloat16, in files of at most ``SHARD_SIZE``."""
    model: Any = bundle.model
    model.to(torch.bfloat16).save_pretrained(target, max_shard_size=SHARD_SIZE)


class TransformersRuntime:
    """transformers, with PEFT for adapters, as the model card loads the folder.

    Args:
        folder: of the exported model.
        exported: its record.
        recipe: says whether the base is loaded in 4 bit.
    """

    def __init__(self, folder: Path, exported: ExportedModel, recipe: Recipe) -> None:
        import transformers as hf

        self.name = name_of("transformers")
        self._tokenizer = FolderTokenizer(folder, exported)
        self._causal = exported.kind == "causal"
        auto: Any = hf.AutoModelForCausalLM if self._causal else hf.AutoModelForSeq2SeqLM
        base = exported.base or "./"
        options: dict[str, Any] = {"device_map": {"": str(detect().device)}}
        if recipe.model.quantisation is not None and exported.form in {"adapters", "base"}:
            options |= {
                "dtype": torch.bfloat16,
                "quantization_config": hf.BitsAndBytesConfig(  # type: ignore[no-untyped-call]
                    load_in_4bit=True,
                    bnb_4bit_quant_type="nf4",
                    bnb_4bit_use_double_quant=True,
                    bnb_4bit_compute_dtype=torch.bfloat16,
                ),
            }
        location = folder / base if base.startswith("./") else base
        if exported.revision is not None:
            options["revision"] = exported.revision
        self._model: Any = auto.from_pretrained(location, **options)
        forbid_cpu_repacking(self._model)
        if exported.form == "adapters":
            from peft import PeftModel

            self.name = f"{self.name}, {name_of('peft')}"
            self._model = PeftModel.from_pretrained(self._model, folder)
        self._exported = exported
        self._settings = hf.GenerationConfig.from_pretrained(folder)

    def answer(self, sources: Sequence[Source]) -> Iterator[Answer]:
        """Yield an answer to each prompt, in order."""
        for source in sources:
            prompt = self._tokenizer.encode(source)
            ids = torch.tensor([prompt], device=self._model.device)
            with torch.no_grad():
                output = self._model.generate(input_ids=ids, generation_config=self._settings)[0]
            # An encoder-decoder's output begins with the id that starts the decoder.
            new = output[len(prompt) if self._causal else 1 :].tolist()
            yield answer_of(prompt, new, self._tokenizer.decode(new), self._exported)
