"""From trained weights to predictions, as the recipe's decoding and generation settings say."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from yoyak.data.few_shot import found_examples
from yoyak.engine import GenerateJob
from yoyak.engine.device import limit_threads, silence_libraries
from yoyak.engine.inference.ctranslate2 import ctranslate2_decoder
from yoyak.engine.inference.encoder_cache import cache_encoder_outputs
from yoyak.engine.inference.generate import BatchDecoder, DecodeJob, RowCap, generate
from yoyak.engine.inference.max_length import fit_length_cap
from yoyak.engine.inference.merge_lora import load_merged
from yoyak.engine.inference.smoke_check import SmokeCheck, tags_expected, with_smoke_check
from yoyak.engine.inference.stop import stop_between_tokens
from yoyak.engine.inference.vllm import vllm_decoder
from yoyak.engine.model_classes import Kind
from yoyak.engine.models import weights
from yoyak.engine.models.model import ModelBundle
from yoyak.engine.models.weights import SavedWeights
from yoyak.engine.tokenization.encode import EncodedRow, encode_rows
from yoyak.engine.tokenization.script_filter import blocked_token_ids
from yoyak.files import atomic
from yoyak.values import Dialogue, Prediction

if TYPE_CHECKING:
    from yoyak.config.schema import Decode


LIBRARIES = {"ctranslate2": ctranslate2_decoder, "vllm": vllm_decoder}


class Predictor:
    """Predict with trained weights that stay loaded between jobs.

    Args:
        kind: of the engine's models.
    """

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._key: object = None
        self._loaded: tuple[ModelBundle, SavedWeights] | None = None
        self._rows: dict[Dialogue, EncodedRow] = {}
        self._train_rows: list[EncodedRow] | None = None
        self._examples: tuple[Dialogue, ...] = ()
        self._decoders: dict[Decode, BatchDecoder | None] = {}

    def predict(self, job: GenerateJob) -> Iterator[Prediction]:
        """Yield one prediction a dialogue; the first eight may be checked for total failures.

        Raises:
            InputMissing: there are no whole weights.
            Unavailable: the base model or a library is missing.
            RunFailed: the smoke check failed, or a row does not fit the model or the memory.
        """
        bundle, saved = self._load(job)
        self._examples = found_examples(job.train, saved.examples)
        rows = self._encode(bundle, job)
        cap = job.decode.max_new_tokens or saved.max_new_tokens
        decode_job = DecodeJob(bundle, job.decode, cap, blocked_token_ids(bundle.tokenizer))
        generate_rows = partial(
            generate,
            bundle,
            decode=job.decode,
            max_new_tokens=cap,
            row_cap=self._row_cap(bundle, job),
            blocked=decode_job.blocked,
            decoder=self._decoder(job, decode_job, rows),
            on_text=job.on_text,
        )
        check = SmokeCheck(
            tokenizer=bundle.tokenizer,
            tags_expected=tags_expected(job.train.dialogues),
            scratch=job.recipe.model.scratch is not None,
            emit=job.emit,
        )
        with stop_between_tokens(bundle.model, job.stop_asked):
            if job.smoke_check:
                yield from with_smoke_check(rows, generate_rows, check)
            else:
                yield from generate_rows(rows)

    def _encode(self, bundle: ModelBundle, job: GenerateJob) -> list[EncodedRow]:
        """Encode the job's dialogues, each only once however often it is decoded."""
        new = [dialogue for dialogue in job.dialogues if dialogue not in self._rows]
        rows = encode_rows(
            bundle.tokenizer, new, job.recipe.prompt, with_answers=False, examples=self._examples
        )
        known = self._rows if job.keep_rows else dict(self._rows)
        known.update(zip(new, rows, strict=True))
        return [known[dialogue] for dialogue in job.dialogues]

    def _row_cap(self, bundle: ModelBundle, job: GenerateJob) -> RowCap | None:
        quantile = job.decode.length_cap_quantile
        if quantile is None:
            return None
        if self._train_rows is None:
            self._train_rows = encode_rows(
                bundle.tokenizer,
                job.train.dialogues,
                job.recipe.prompt,
                with_answers=True,
                examples=self._examples,
            )
        return fit_length_cap(self._train_rows, quantile).tokens

    def _load(self, job: GenerateJob) -> tuple[ModelBundle, SavedWeights]:
        settings = job.recipe.generate
        manifest = atomic.read_manifest(job.folder / weights.FOLDER)
        key = (job.folder, manifest, job.recipe.prompt, settings, job.keep_rows)
        if self._loaded is None or key != self._key:
            silence_libraries()
            limit_threads(job.recipe)
            # The old model must be freed before the new one is loaded.
            self._loaded, self._rows, self._train_rows = None, {}, None
            self._decoders = {}
            if settings.weights == "merged":
                self._loaded = load_merged(job, self._kind)
            else:
                self._loaded = weights.load(job.folder, self._kind, job.recipe)
            self._key = key
            if self._kind == "seq2seq" and job.keep_rows:
                cache_encoder_outputs(self._loaded[0])
        return self._loaded

    def _decoder(
        self, job: GenerateJob, decode_job: DecodeJob, rows: Sequence[EncodedRow]
    ) -> BatchDecoder | None:
        """Return another library's decoder if the recipe wants it and it agrees with ours."""
        checked = LIBRARIES.get(job.recipe.generate.library)
        if checked is None:
            return None
        if job.decode not in self._decoders:
            self._decoders[job.decode] = checked(decode_job, rows, job.folder, job.emit)
        return self._decoders[job.decode]
