"""The contest's own files: read whole, counted as published, and nothing lost on the way."""

import csv
import re
import sys

import pytest

from yoyak.data.audit import audit, refuse_contradictions, tags_of
from yoyak.data.clean import summary_of
from yoyak.data.corpus import read_corpus
from yoyak.data.prediction_files import read_predictions, read_references
from yoyak.data.rows import read_rows
from yoyak.data.sample import folder
from yoyak.errors import BadData

pytestmark = pytest.mark.real
csv.field_size_limit(sys.maxsize)


@pytest.fixture(scope="module")
def corpus(shared):
    return read_corpus(shared / "data" / "contest")


@pytest.fixture(scope="module")
def audited(corpus):
    return {split.name: split for split in audit(corpus).splits}


def raw(path):
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_rows_and_ids_are_those_of_the_csv_module(corpus, shared):
    for split in (corpus.train, corpus.dev, corpus.test):
        rows = raw(shared / "data" / "contest" / f"{split.name}.csv")
        assert [row["fname"] for row in rows] == [each.id for each in split.dialogues]
        assert [row.get("summary") for row in rows] == [
            each.references[0] if each.references else None for each in split.dialogues
        ]
    assert (len(corpus.dev.dialogues), len(corpus.test.dialogues)) == (499, 499)
    assert corpus.sample_submission.startswith(",fname,summary\n")


def test_words_survive_the_clean_up(corpus, shared):
    """Without blanks a cleaned dialogue is, letter by letter, what the file has."""
    for split in (corpus.train, corpus.dev, corpus.test):
        rows = raw(shared / "data" / "contest" / f"{split.name}.csv")
        for row, dialogue in zip(rows, split.dialogues, strict=True):
            assert re.sub(r"\s", "", row["dialogue"]) == re.sub(r"\s", "", dialogue.text)


def test_nothing_in_them_stops_training(corpus):
    found = audit(corpus)
    refuse_contradictions(found)
    assert {one.name for one in found.findings} <= {"duplicate", "leak"}


def test_dev_is_as_published(audited):
    dev = audited["dev"]
    assert dev.speakers == {2: 494, 3: 4, 4: 1}
    assert (dev.turns.minimum, dev.turns.maximum) == (2, 29)
    assert dev.turns.mean == pytest.approx(9.4, abs=0.05)
    assert dev.dialogue_characters.mean == pytest.approx(400, abs=2)
    assert dev.dialogue_characters.maximum == 1269
    assert dev.summary_characters.mean == pytest.approx(81, abs=0.5)
    assert (dev.summary_characters.minimum, dev.summary_characters.maximum) == (29, 283)
    assert dev.references == {1: 499}
    tags = {tag: rows for tag, rows in dev.tags.items() if rows < 499}
    assert tags == {
        "#PhoneNumber#": 5, "#Person3#": 5, "#Address#": 2, "#DateOfBirth#": 2, "#Person4#": 1,
    }  # fmt: skip


def test_test_is_as_published(audited):
    test = audited["test"]
    assert test.speakers == {2: 495, 3: 4}
    assert (test.turns.minimum, test.turns.maximum) == (2, 63)
    assert test.turns.mean == pytest.approx(9.7, abs=0.05)
    assert test.dialogue_characters.mean == pytest.approx(422, abs=4)
    assert test.summary_characters is None
    tags = {tag: rows for tag, rows in test.tags.items() if rows < 499}
    assert tags == {"#PhoneNumber#": 5, "#Person3#": 4, "#Address#": 1, "#PassportNumber#": 1}


def test_the_noise_that_the_organiser_names_is_counted(audited):
    """Dev and test hold no literal line break; 119 and 184 rows end a line with a blank."""
    assert audited["dev"].cleaned == {"blanks": 2, "edge-blanks": 119}
    assert audited["test"].cleaned == {"blanks": 1, "edge-blanks": 184, "speaker-inside-line": 2}


def test_every_one_line_reference_survives_unchanged(corpus):
    references = [
        text
        for split in (corpus.train, corpus.dev)
        for dialogue in split.dialogues
        for text in dialogue.references
    ]
    several_lines = [text for text in references if "\n" in text]
    assert len(several_lines) == 1
    for text in set(references) - set(several_lines):
        assert summary_of(text) == text


def test_what_tag_tokens_part_is_joined_again_in_real_summaries(corpus):
    """A tokenizer with tags of its own writes "#Person1# 은": parted and joined, all come back."""
    references = [text for row in corpus.dev.dialogues for text in row.references]
    parted = [re.sub(r"(#[A-Za-z]+[0-9]*#)(?=[^\s#])", r"\1 ", text) for text in references]
    assert sum(a != b for a, b in zip(parted, references, strict=True)) > 400
    restored = [summary_of(text, tags_are_tokens=True) for text in parted]
    assert restored == references
    assert [summary_of(text, tags_are_tokens=True) for text in references] == references


PREDICTIONS = [
    ("predictions/dev_pred_kobart_13gi_nlp5.csv", None),
    ("predictions/dev_solar_zeroshot_13gi_nlp5.csv", "summary_solar"),
    ("predictions/test_pred_kobart_bkankim.csv", None),
    ("contest/sample_submission.csv", None),
]


@pytest.mark.parametrize(("name", "column"), PREDICTIONS)
def test_every_real_prediction_file_is_read(corpus, shared, name, column):
    path = shared / "data" / name
    split = corpus.dev if "dev" in path.name else corpus.test
    predictions = read_predictions(path, column=column)
    assert predictions.keys() == {row.id for row in split.dialogues}
    assert predictions == {row["fname"]: row[column or "summary"] for row in raw(path)}


def test_a_file_with_four_candidates_asks_which(shared):
    with pytest.raises(BadData, match=r"summary_solar, re_summary_solar, .* --column"):
        read_predictions(shared / "data/predictions/dev_solar_zeroshot_13gi_nlp5.csv")


def test_references_of_both_translations_are_merged(shared):
    data = shared / "data"
    merged = read_references(data / "contest/dev.csv", data / "old_translation/dev_old_a.csv")
    assert {len(texts) for texts in merged.values()} == {2}
    assert len(merged) == 499


def test_three_references_are_read_from_json(shared):
    path = shared / "data/english_metric_only/dialogsum.test.3refs.jsonl"
    references = read_references(path)
    assert len(references) == 500
    assert {len(texts) for texts in references.values()} == {3}


def test_plain_text_is_refused_with_its_reason(shared):
    with pytest.raises(BadData, match="no id for each line"):
        read_predictions(shared / "data/english_metric_only/bart_large_test_output.txt")


def test_the_older_files_of_the_contest_are_read(shared):
    for name in ("dev_old_a", "dev_old_b", "test_old"):
        assert len(read_rows(shared / "data/old_translation" / f"{name}.csv").rows) == 499


def test_the_built_in_sample_shares_no_line_with_them(shared):
    def letters(text):
        return re.sub(r"#[A-Za-z]+[0-9]*#|\W", "", text)

    def lines(path):
        for row in read_rows(path).rows:
            for cell in row.cells.values():
                for line in cell.split("\n"):
                    yield letters(re.sub(r"^#Person\d#:", "", line))

    files = [
        path
        for path in (shared / "data").rglob("*.*")
        if path.suffix in {".csv", ".jsonl"} and "runs" not in path.parts
    ]
    theirs = {line for path in files for line in lines(path)}
    sample = read_corpus(folder())
    ours = [
        text
        for split in (sample.train, sample.dev, sample.test)
        for row in split.dialogues
        for text in (*(turn.text for turn in row.turns), *row.references)
    ]
    assert len(theirs) > 10_000
    assert [text for text in ours if letters(text) and letters(text) in theirs] == []
    assert tags_of(sample.dev.dialogues[0].text)
