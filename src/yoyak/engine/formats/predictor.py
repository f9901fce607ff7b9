"""Generate with an exported folder as an engine does, from the folder alone."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from yoyak.data.clean import summary_of
from yoyak.engine import GenerateJob
from yoyak.engine.device import limit_threads, silence_libraries
from yoyak.engine.exported import ExportedModel, read_exported
from yoyak.engine.formats.export import load_runtime, prompt_of, runtime_errors
from yoyak.engine.tokenization.tokenizer import ModelTokenizer, load_tokenizer
from yoyak.values import Prediction

if TYPE_CHECKING:
    from yoyak.engine.formats.runtime import Runtime


class ExportedPredictor:
    """Answers jobs in the runtime of the folder's form, which stays loaded."""

    def __init__(self) -> None:
        self._loaded: tuple[ModelTokenizer, Runtime] | None = None

    def generate(self, job: GenerateJob) -> Iterator[Prediction]:
        """Yield the summary of each dialogue, in order; ``job.folder`` is the exported folder.

        Prompt, decoding and clean-up are those of the folder's record, whatever ``job`` says.

        Raises:
            Unavailable: the runtime of the form is not installed.
            RunFailed: it cannot load the folder, or fails on a row.
        """
        exported = read_exported(job.folder)
        with runtime_errors(
            "prediction.export-failed", folder=job.folder, form=exported.form, run=exported.run
        ):
            yield from self._generate(job, exported)

    def _generate(self, job: GenerateJob, exported: ExportedModel) -> Iterator[Prediction]:
        if self._loaded is None:
            silence_libraries()
            limit_threads(job.recipe)
            longest = exported.prompt.max_source_tokens
            runtime = load_runtime(job.folder, exported, job.recipe, longest)
            self._loaded = load_tokenizer(str(job.folder), job.recipe), runtime
        tokenizer, runtime = self._loaded
        sources = [
            tokenizer.prepare(prompt_of(dialogue, tokenizer, exported))
            for dialogue in job.dialogues
        ]
        for dialogue, answer in zip(job.dialogues, runtime.answer(sources), strict=True):
            yield Prediction(
                id=dialogue.id,
                text=summary_of(answer.text, tags_are_tokens=exported.tags_are_tokens),
                raw=answer.text,
                tokens=answer.tokens,
                stop=answer.stop,
            )
