"""CTranslate2 as another decoder for BART models, used only if it gives the same answers.

Its beam search normalises lengths and stops in its own way, so it is compared with ours first, on
some of the very rows and with the very settings it is wanted for. Token ids go in and come out as
numbers: no text, no tokenizer and no added special token in between.
"""

import copy
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import BeamSearch, Sampling
from yoyak.engine import Emit
from yoyak.engine.inference.generate import BatchDecoder, DecodeJob
from yoyak.engine.inference.parity import checked_decoder, emit_warning
from yoyak.engine.models.model import ModelBundle
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.errors import Unavailable

FOLDER = "ctranslate2"


def ctranslate2_decoder(
    job: DecodeJob, rows: Sequence[EncodedRow], folder: Path, emit: Emit
) -> BatchDecoder | None:
    """Return a decoder that agrees with ours, ``None`` if there is none; emit which it is.

    Args:
        job: the model and its decoding settings.
        rows: what will be predicted.
        folder: the converted model is in it while it is loaded.
        emit: gets the comparison, and a warning if CTranslate2 is not used.

    Raises:
        Unavailable: CTranslate2 is not installed.
    """
    problem = _unsupported(job)
    if problem is not None:
        emit_warning(emit, "engine.ctranslate2-cannot", what=problem)
        return None
    decoder = CTranslate2Decoder(job.bundle, folder)
    return checked_decoder("ctranslate2", decoder, job, rows, emit)


def _unsupported(job: DecodeJob) -> str | None:
    """Name the setting that CTranslate2 does not support, if there is one."""
    if isinstance(job.decode, Sampling):
        return "decode.kind = sample"
    model_type: str = getattr(job.bundle.model.config, "model_type", "")
    return None if model_type == "bart" else f"model_type = {model_type}"


class CTranslate2Decoder:
    """A BART model in CTranslate2, in float32 on the model's own device.

    Args:
        bundle: the model; adapters are merged into a copy.
        folder: the converted model is in it while it is loaded.

    Raises:
        Unavailable: CTranslate2 is not installed.
    """

    def __init__(self, bundle: ModelBundle, folder: Path) -> None:
        try:
            import ctranslate2
        except ModuleNotFoundError as error:
            raise Unavailable("engine.no-ctranslate2") from error
        converted = folder / FOLDER
        if converted.exists():
            shutil.rmtree(converted)  # left by a process that was killed
        converted.mkdir(parents=True)
        try:
            _convert(bundle, converted)
            self._translator: Any = ctranslate2.Translator(
                str(converted),
                device=bundle.device.type,
                device_index=bundle.device.index or 0,
                compute_type="float32",
                intra_threads=torch.get_num_threads(),
            )
        finally:
            shutil.rmtree(converted)

    def __call__(self, job: DecodeJob, batch: Sequence[EncodedRow]) -> list[list[int]]:
        """Return the new token ids of each row, including EOS.

        Raises:
            torch.OutOfMemoryError: the batch does not fit.
        """
        beam = job.decode if isinstance(job.decode, BeamSearch) else None
        embedding_rows: Any = job.bundle.model.config.vocab_size  # type: ignore[union-attr]
        without_token = range(job.bundle.tokenizer.vocab_size, embedding_rows)
        try:
            results = self._translator.translate_batch(
                [[str(token) for token in row.source_ids] for row in batch],
                beam_size=beam.num_beams if beam else 1,
                length_penalty=beam.length_penalty if beam else 1.0,
                min_decoding_length=beam.min_new_tokens if beam else 0,
                no_repeat_ngram_size=job.decode.no_repeat_ngram_size,
                max_decoding_length=job.max_new_tokens,
                max_input_length=0,  # no limit: rows that are too long were refused before
                end_token=[str(token) for token in job.bundle.tokenizer.stop_ids],
                suppress_sequences=[[str(token)] for token in (*job.blocked, *without_token)]
                or None,
                return_end_token=True,
            )
        except RuntimeError as error:
            if "out of memory" in str(error):
                raise torch.OutOfMemoryError(str(error)) from error
            raise
        return [[int(token) for token in result.hypotheses[0]] for result in results]


def complete_bart_config(config: Any) -> None:
    """Say that BART's blocks are post-norm: CTranslate2 reads it, transformers 5 dropped it."""
    if not hasattr(config, "normalize_before"):
        config.normalize_before = False


def _convert(bundle: ModelBundle, folder: Path) -> None:
    """Write the model in CTranslate2's format, with the ids' own numbers as vocabulary."""
    from ctranslate2.converters.transformers import BartLoader

    model: Any = bundle.model
    if hasattr(model, "merge_and_unload"):
        model = copy.deepcopy(model).merge_and_unload()
    complete_bart_config(model.config)
    tokenizer = bundle.tokenizer
    with torch.no_grad():
        spec = BartLoader().get_model_spec(model)
    numbers = [str(token) for token in range(model.config.vocab_size)]
    spec.register_source_vocabulary(numbers)
    spec.register_target_vocabulary(numbers)
    spec.config.eos_token = str(tokenizer.stop_id)
    spec.config.bos_token = str(tokenizer.stop_id if tokenizer.bos_id is None else tokenizer.bos_id)
    spec.config.unk_token = str(
        tokenizer.pad_id if tokenizer.unknown_id is None else tokenizer.unknown_id
    )
    spec.config.decoder_start_token = str(tokenizer.decoder_start_id)
    spec.validate()
    spec.optimize(quantization=None)
    spec.save(str(folder))
