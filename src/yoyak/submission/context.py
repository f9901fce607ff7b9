"""Gather what a submission is validated against: sample, dialogues, the system's dev outputs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from yoyak.errors import BadData
from yoyak.submission.csv_format import CsvFormat, contest_sample, read_csv_format
from yoyak.values import Corpus, Prediction


class SubmittedAnswer(NamedTuple):
    """One summary; ``row`` counts from 1 after the header."""

    row: int
    id: str
    text: str


class ValidationContext(NamedTuple):
    """What the rules compare a submission with.

    ``dialogues`` maps the ids of dev and test to dialogue texts. ``outputs`` are the same system's
    summaries of dev, ``None`` for a file of unknown origin; ``references`` are dev's, one per id.
    ``instructions`` are the lines of the prompt that no summary may repeat.
    """

    csv_format: CsvFormat
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
    """Gather the context of a data folder and of one system's dev predictions.

    Args:
        corpus: the three splits.
        sample: the sample submission's bytes; ``None`` looks for it in the corpus's folder.
        outputs: dev predictions of the system whose test predictions are submitted.
        instructions: texts of the prompt, any number of lines each.

    Raises:
        BadData: the sample is unusable, or its ids are not those of test.
    """
    csv_format = read_csv_format(sample if sample is not None else sample_of(corpus))
    _same_ids(csv_format, corpus)
    return ValidationContext(
        csv_format=csv_format,
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
    """Number predictions in their order."""
    return tuple(SubmittedAnswer(row, one.id, one.text) for row, one in enumerate(predictions, 1))


def sample_of(corpus: Corpus) -> bytes:
    """Return the sample submission of the folder, or one in the contest's format if it has none."""
    path = Path(corpus.folder) / "sample_submission.csv"
    if path.is_file():
        return path.read_bytes()
    if corpus.sample_submission is not None:
        return corpus.sample_submission.encode()
    return contest_sample([dialogue.id for dialogue in corpus.test.dialogues])


def _same_ids(csv_format: CsvFormat, corpus: Corpus) -> None:
    test = {dialogue.id for dialogue in corpus.test.dialogues}
    unlike = test.symmetric_difference(csv_format.ids)
    if unlike:
        raise BadData(
            "submission.sample-unlike-test",
            count=len(unlike),
            ids=", ".join(sorted(unlike)[:5]),
            folder=corpus.folder,
        )
