"""From weights to predictions: what both engines do, in the way that the recipe asks for."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from yoyak.data.few_shot import found_examples
from yoyak.engine import GenerateJob
from yoyak.engine.device import limit_threads, silence_libraries
from yoyak.engine.inference import max_length
from yoyak.engine.inference.ctranslate2 import agreed
from yoyak.engine.inference.encoder_cache import cache_encoder_outputs
from yoyak.engine.inference.generate import DecodeJob, Decoder, RowCap, generate
from yoyak.engine.inference.merge_lora import open_merged
from yoyak.engine.inference.smoke_check import SmokeCheck, tags_expected, with_smoke_check
from yoyak.engine.models import weights
from yoyak.engine.models.model import Kind, ModelBundle
from yoyak.engine.models.weights import SavedWeights
from yoyak.engine.tokenization.encode import EncodedRow, encode_rows
from yoyak.engine.tokenization.script_filter import blocked_token_ids
from yoyak.files import atomic
from yoyak.values import Dialogue, Prediction

if TYPE_CHECKING:
    from yoyak.config.schema import Decode


class Predictor:
    """Answers the dialogues of a job with trained weights, which stay loaded between jobs.

    Args:
        kind: of the engine's models.
    """

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._key: object = None
        self._open: tuple[ModelBundle, SavedWeights] | None = None
        self._rows: dict[Dialogue, EncodedRow] = {}
        self._learned: list[EncodedRow] | None = None
        self._shots: tuple[Dialogue, ...] = ()
        self._decoders: dict[Decode, Decoder | None] = {}

    def predict(self, job: GenerateJob) -> Iterator[Prediction]:
        """One prediction a dialogue, after eight rows were looked at."""
        bundle, described = self._opened(job)
        self._shots = found_examples(job.train, described.examples)
        rows = self._encoded(bundle, job)
        cap = job.decode.max_new_tokens or described.max_new_tokens
        work = DecodeJob(bundle, job.decode, cap, blocked_token_ids(bundle.tokenizer))
        speak = partial(
            generate,
            bundle,
            decode=job.decode,
            max_new_tokens=cap,
            row_cap=self._row_cap(bundle, job),
            blocked=work.blocked,
            decoder=self._decoder(job, work, rows),
        )
        guard = SmokeCheck(
            tokenizer=bundle.tokenizer,
            tags_expected=tags_expected(job.train.dialogues),
            scratch=job.recipe.model.scratch is not None,
            emit=job.emit,
        )
        yield from with_smoke_check(rows, speak, guard)

    def _encoded(self, bundle: ModelBundle, job: GenerateJob) -> list[EncodedRow]:
        """The job's rows as ids, each rendered and cut once however often it is decoded."""
        new = [one for one in job.dialogues if one not in self._rows]
        fresh = encode_rows(
            bundle.tokenizer, new, job.recipe.prompt, with_answers=False, examples=self._shots
        )
        self._rows.update(zip(new, fresh, strict=True))
        return [self._rows[one] for one in job.dialogues]

    def _row_cap(self, bundle: ModelBundle, job: GenerateJob) -> RowCap | None:
        quantile = job.decode.length_cap_quantile
        if quantile is None:
            return None
        if self._learned is None:
            self._learned = encode_rows(
                bundle.tokenizer,
                job.train.dialogues,
                job.recipe.prompt,
                with_answers=True,
                examples=self._shots,
            )
        return max_length.fit(self._learned, quantile).tokens

    def _opened(self, job: GenerateJob) -> tuple[ModelBundle, SavedWeights]:
        wanted, manifest = job.recipe.generate, atomic.read_manifest(job.folder / weights.FOLDER)
        key = (job.folder, manifest, job.recipe.prompt, wanted)
        if self._open is None or key != self._key:
            silence_libraries()
            limit_threads(job.recipe)
            self._open, self._rows, self._learned = None, {}, None  # the old goes before the new
            self._decoders = {}
            if wanted.weights == "merged":
                self._open = open_merged(job, self._kind)
            else:
                self._open = weights.load(job.folder, self._kind, job.recipe)
            self._key = key
            if self._kind == "seq2seq":
                cache_encoder_outputs(self._open[0])
        return self._open

    def _decoder(
        self, job: GenerateJob, work: DecodeJob, rows: Sequence[EncodedRow]
    ) -> Decoder | None:
        """Who decodes instead of our own loops, if the recipe asks for it and it agrees."""
        if job.recipe.generate.library != "ctranslate2":
            return None
        if job.decode not in self._decoders:
            self._decoders[job.decode] = agreed(work, rows, job.folder, job.emit)
        return self._decoders[job.decode]
