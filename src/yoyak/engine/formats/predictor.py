"""Generate with an exported folder as an engine does, from the folder alone."""

from collections.abc import Iterator

from yoyak.data.clean import summary_of
from yoyak.data.prompt import render
from yoyak.engine import GenerateJob
from yoyak.engine.device import limit_threads, silence_libraries
from yoyak.engine.exported import ExportedModel, read_exported
from yoyak.engine.formats.export import load_runtime
from yoyak.engine.formats.runtime import FolderTokenizer, Runtime
from yoyak.values import Prediction, Source


class ExportedPredictor:
    """Answers jobs in the runtime of the folder's form, which stays loaded."""

    def __init__(self) -> None:
        self._loaded: tuple[ExportedModel, FolderTokenizer, Runtime] | None = None

    def generate(self, job: GenerateJob) -> Iterator[Prediction]:
        """Yield the summary of each dialogue, in order; ``job.folder`` is the exported folder.

        Prompt, decoding and clean-up are those of the folder's record, whatever ``job`` says.

        Raises:
            Unavailable: the runtime of the form is not installed.
            RunFailed: it cannot load the folder.
        """
        if self._loaded is None:
            silence_libraries()
            limit_threads(job.recipe)
            exported = read_exported(job.folder)
            longest = exported.prompt.max_source_tokens
            runtime = load_runtime(job.folder, exported, job.recipe, longest)
            self._loaded = exported, FolderTokenizer(job.folder, exported), runtime
        exported, tokenizer, runtime = self._loaded

        def count_tokens(source: Source) -> int:
            return len(tokenizer.encode(source))

        sources = [
            render(dialogue, exported.prompt, count_tokens=count_tokens)
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
