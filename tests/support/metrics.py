"""Our own sample's dev rows, and a good system: the first sentence of each reference, reworded."""

import msgspec
import pytest

from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.metrics import scorecard
from yoyak.metrics.diagnostics import text_patterns


def with_rows(split, rows):
    return msgspec.structs.replace(split, dialogues=tuple(rows))


@pytest.fixture(scope="session")
def dev():
    return read_corpus(sample.folder()).dev


@pytest.fixture(scope="session")
def three_references(dev):
    return with_rows(dev, (row for row in dev.dialogues if len(row.references) == 3))


@pytest.fixture(scope="session")
def split(dev):
    return with_rows(
        dev,
        (msgspec.structs.replace(row, references=row.references[:1]) for row in dev.dialogues),
    )


def reworded(text):
    words = text.split(" ")
    words[1:-1:3] = ["그렇게"] * len(words[1:-1:3])
    middle = len(words) // 2
    return " ".join((*words[: middle - 1], words[middle], words[middle - 1], *words[middle + 1 :]))


@pytest.fixture(scope="session")
def good(split):
    return {
        row.id: reworded(next(text_patterns.sentences(row.references[0])).text)
        for row in split.dialogues
    }


@pytest.fixture(scope="session")
def judged(good, split):
    return scorecard.evaluate(good, split)
