"""CTranslate2 as a second decoder of BART models: asked for by the recipe, believed after a test.

Its beam search counts lengths and ends in ways of its own, so it speaks only where it has said
the same ids as ours on some of the very rows, in the very decoding, that it is wanted for.
Ids go in and come out under their own numbers: no text, no tokenizer and no special token between.
"""

import copy
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import BeamSearch, Sampling
from yoyak.engine import Emit
from yoyak.engine.inference.generate import DecodeJob, Decoder
from yoyak.engine.inference.parity import (
    emit_parity,
    emit_warning,
    equal_rows,
    generate_rows,
    spread_over,
)
from yoyak.engine.models.model import ModelBundle
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.errors import Unavailable

ROWS = 20
RATE = 0.95
"""Of the rows that are tried, so many must get the same ids: all but one of twenty."""
FOLDER = "ctranslate2"


def agreed(work: DecodeJob, rows: Sequence[EncodedRow], folder: Path, emit: Emit) -> Decoder | None:
    """A decoder that says what ours says, or ``None`` where there is none; both are told.

    Args:
        work: the model and how it is decoded.
        rows: what is going to be answered.
        folder: the engine's own; the converted model lies in it for a moment.
        emit: is told what was found.

    Raises:
        Unavailable: CTranslate2 is not installed.
    """
    problem = _problem(work)
    if problem is not None:
        emit_warning(emit, "engine.ctranslate2-cannot", what=problem)
        return None
    decoder = Translator(work.bundle, folder)
    tried = spread_over(rows, ROWS)
    ours, theirs = generate_rows(work, tried), generate_rows(work._replace(decoder=decoder), tried)
    equal = equal_rows(theirs, ours)
    fields: dict[str, object] = {
        "rows": len(tried),
        "equal": equal,
        "rate": f"{RATE:.0%}",
        "speed": f"{ours.seconds / theirs.seconds:.1f}",
    }
    passed = equal >= RATE * len(tried)
    emit_parity(emit, "ctranslate2", passed, fields)
    return decoder if passed else None


def _problem(work: DecodeJob) -> str | None:
    """What of this work CTranslate2 cannot do here."""
    if isinstance(work.decode, Sampling):
        return "decode.kind = sample"
    kind: str = getattr(work.bundle.model.config, "model_type", "")
    return None if kind == "bart" else f"model_type = {kind}"


class Translator:
    """A BART model as CTranslate2 runs it, in float32 on the model's own device.

    Args:
        bundle: the model; adapters are merged into a copy.
        folder: where the converted model lies while it is read in.

    Raises:
        Unavailable: CTranslate2 is not installed.
    """

    def __init__(self, bundle: ModelBundle, folder: Path) -> None:
        try:
            import ctranslate2
        except ModuleNotFoundError as error:
            raise Unavailable("engine.no-ctranslate2") from error
        place = folder / FOLDER
        if place.exists():
            shutil.rmtree(place)  # of a process that was killed
        place.mkdir(parents=True)
        try:
            _convert(bundle, place)
            self._translator: Any = ctranslate2.Translator(
                str(place),
                device=bundle.device.type,
                device_index=bundle.device.index or 0,
                compute_type="float32",
                intra_threads=torch.get_num_threads(),
            )
        finally:
            shutil.rmtree(place)

    def __call__(self, work: DecodeJob, batch: Sequence[EncodedRow]) -> list[list[int]]:
        """The new ids of each row, to and with its stop if it came to one."""
        beam = work.decode if isinstance(work.decode, BeamSearch) else None
        unwritten = range(work.bundle.tokenizer.vocab_size, work.bundle.model.config.vocab_size)  # type: ignore[union-attr,arg-type]
        try:
            found = self._translator.translate_batch(
                [[str(token) for token in row.source_ids] for row in batch],
                beam_size=beam.num_beams if beam else 1,
                length_penalty=beam.length_penalty if beam else 1.0,
                min_decoding_length=beam.min_new_tokens if beam else 0,
                no_repeat_ngram_size=work.decode.no_repeat_ngram_size,
                max_decoding_length=work.max_new_tokens,
                max_input_length=0,  # no limit: what is too long was refused before
                end_token=[str(token) for token in work.bundle.tokenizer.stop_ids],
                suppress_sequences=[[str(token)] for token in (*work.blocked, *unwritten)] or None,
                return_end_token=True,
            )
        except RuntimeError as error:
            if "out of memory" in str(error):
                raise torch.OutOfMemoryError(str(error)) from error
            raise
        return [[int(token) for token in each.hypotheses[0]] for each in found]


def _convert(bundle: ModelBundle, place: Path) -> None:
    """Writes the model in CTranslate2's form, its vocabulary the ids' own numbers."""
    from ctranslate2.converters.transformers import BartLoader

    model: Any = bundle.model
    if hasattr(model, "merge_and_unload"):
        model = copy.deepcopy(model).merge_and_unload()
    # transformers 5 has dropped this field from BART, whose blocks normalise afterwards.
    if not hasattr(model.config, "normalize_before"):
        model.config.normalize_before = False
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
    spec.save(str(place))
