"""What a submission is judged against: the sample, the dialogues, and how the system did on dev."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from yoyak.errors import BadData
from yoyak.submission.csv_format import CsvFormat, contest_sample, read_layout
from yoyak.values import Corpus, Prediction


class SubmittedAnswer(NamedTuple):
    """One summary in its place; ``row`` counts from 1 after the header."""

    row: int
    id: str
    text: str


class ValidationContext(NamedTuple):
    """The yardstick of the gate.

    ``dialogues`` maps the ids of dev and test to dialogue texts. ``outputs`` are the same system's
    summaries of dev, ``None`` for a file of unknown origin; ``references`` are dev's, one per id.
    ``instructions`` are the lines of the prompt that no summary may repeat.
    """

    layout: CsvFormat
    dialogues: Mapping[str, str]
    references: tuple[SubmittedAnswer, ...]
    outputs: tuple[SubmittedAnswer, ...] | None = None
    instructions: tuple[str, ...] = ()


def gather_context(
    corpus: Corpus,
    *,
    sample: bytes | None = None,
    outputs: Sequence[Prediction] | None = None,
    instructions: Sequence[str] = (),
) -> ValidationContext:
    """The evidence of a data folder and of one system's dev predictions.

    Args:
        corpus: the three splits.
        sample: the sample submission's bytes; ``None`` looks for it in the corpus's folder.
        outputs: dev predictions of the system whose test predictions are handed in.
        instructions: texts of the prompt, any number of lines each.

    Raises:
        BadData: the sample is unusable, or its ids are not those of test.
    """
    layout = read_layout(sample if sample is not None else sample_of(corpus))
    _same_ids(layout, corpus)
    return ValidationContext(
        layout=layout,
        dialogues={
            dialogue.id: dialogue.text
            for split in (corpus.dev, corpus.test)
            for dialogue in split.dialogues
        },
        references=tuple(
            SubmittedAnswer(row, dialogue.id, dialogue.references[0])
            for row, dialogue in enumerate(corpus.dev.dialogues, 1)
            if dialogue.references
        ),
        outputs=None if outputs is None else answers_of(outputs),
        instructions=tuple(
            line.strip() for text in instructions for line in text.splitlines() if line.strip()
        ),
    )


def answers_of(predictions: Sequence[Prediction]) -> tuple[SubmittedAnswer, ...]:
    """Predictions as answers, numbered in their order."""
    return tuple(SubmittedAnswer(row, one.id, one.text) for row, one in enumerate(predictions, 1))


def sample_of(corpus: Corpus) -> bytes:
    """The sample submission as it lies in the folder; the contest's own shape where it has none."""
    path = Path(corpus.folder) / "sample_submission.csv"
    if path.is_file():
        return path.read_bytes()
    if corpus.sample_submission is not None:
        return corpus.sample_submission.encode()
    return contest_sample([dialogue.id for dialogue in corpus.test.dialogues])


def _same_ids(layout: CsvFormat, corpus: Corpus) -> None:
    test = {dialogue.id for dialogue in corpus.test.dialogues}
    unlike = test.symmetric_difference(layout.ids)
    if unlike:
        raise BadData(
            "submission.sample-unlike-test",
            count=len(unlike),
            ids=", ".join(sorted(unlike)[:5]),
            folder=corpus.folder,
        )
