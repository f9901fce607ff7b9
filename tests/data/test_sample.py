"""The built-in sample is what its README says: the contest's format, varied, and noisy."""

import re

import pytest

from yoyak.data.audit import audit, tags_of
from yoyak.data.corpus import read_corpus
from yoyak.data.near_duplicates import find_near_duplicates
from yoyak.data.rows import read_rows
from yoyak.data.sample import folder

TAGS = {
    "#PhoneNumber#", "#Address#", "#DateOfBirth#", "#PassportNumber#", "#SSN#", "#CardNumber#",
    "#CarNumber#", "#Email#", *(f"#Person{number}#" for number in range(1, 8)),
}  # fmt: skip


@pytest.fixture(scope="module")
def corpus():
    return read_corpus(folder())


@pytest.fixture(scope="module")
def rows(corpus):
    return [*corpus.train.dialogues, *corpus.dev.dialogues, *corpus.test.dialogues]


def test_it_has_the_promised_rows(corpus):
    splits = (corpus.train, corpus.dev, corpus.test)
    assert [len(split.dialogues) for split in splits] == [96, 24, 24]
    assert sum(len(row.references) == 3 for row in corpus.dev.dialogues) == 12


def test_it_has_the_contests_columns(corpus):
    columns = {path.name: read_rows(path).columns for path in folder().glob("*.csv")}
    assert columns == {
        "train.csv": ("fname", "dialogue", "summary", "topic"),
        "dev.csv": ("fname", "dialogue", "summary", "topic", "summary2", "summary3"),
        "test.csv": ("fname", "dialogue"),
        "sample_submission.csv": ("fname", "summary"),
    }
    assert corpus.sample_submission.startswith(",fname,summary\n0,test_0,")


def test_speakers_and_turns_vary_as_in_the_contest(rows):
    assert {len(row.speakers) for row in rows} >= {2, 3, 4, 5, 6, 7}
    turns = [len(row.turns) for row in rows]
    assert (min(turns), max(turns)) == (2, 60)
    assert all(row.speakers for row in rows)


def test_its_tags_are_the_contests_and_all_of_them_occur(rows):
    assert {tag for row in rows for tag in tags_of(row.text)} == TAGS


def test_tags_of_summaries_occur_in_their_dialogues(corpus):
    assert audit(corpus).findings == ()


def test_the_organisers_noise_is_there(corpus):
    cleaned = set(corpus.train.cleaned)
    assert cleaned >= {"literal-newline", "html-break", "blanks", "edge-blanks"}
    assert cleaned >= {"speaker-inside-line", "speaker-separator"}
    assert any("ㅋㅋ" in row.text for row in corpus.train.dialogues)


def test_latin_names_occur_in_dialogues_and_summaries(corpus):
    latin = [
        row
        for row in corpus.train.dialogues
        if re.search("[A-Z][a-z]+", re.sub("#[A-Za-z]+[0-9]*#", "", row.text))
    ]
    assert len(latin) >= 10


def test_no_dialogue_resembles_another_one(rows):
    assert find_near_duplicates([row.text for row in rows], threshold=0.6) == ()


def test_no_two_turns_say_the_same(rows):
    said = [turn.text for row in rows for turn in row.turns]
    assert len(set(said)) == len(said)


def test_summaries_are_one_clean_line_shorter_than_their_dialogue(rows):
    for row in rows:
        for text in row.references:
            assert text == " ".join(text.split())
            assert text.endswith(".")
            assert len(text) < 0.5 * len(row.text)


def test_the_sample_submission_gives_no_answer_away():
    answers = {row.cells["summary"] for row in read_rows(folder() / "sample_submission.csv").rows}
    assert answers == {"여기에 요약을 씁니다."}


def test_its_licence_is_stated():
    licence = (folder() / "LICENSE").read_text("utf-8")
    assert "SPDX-License-Identifier: CC0-1.0" in licence
    assert "written for this project" in licence
