"""Answers that need no model are scored on the same rows; changed answers show blind spots."""

import pytest

from yoyak.metrics.baselines import CONSTANT, lead, probes, rouge_of, trivial_baselines
from yoyak.metrics.protocol import OFFICIAL
from yoyak.metrics.rouge import score_rows


def references_of(split):
    return {row.id: row.references for row in split.dialogues}


def test_each_baseline_is_the_score_of_its_texts(split):
    references = references_of(split)
    dialogues = {row.id: row for row in split.dialogues}
    found = trivial_baselines(references, dialogues, OFFICIAL)
    theirs = list(references.values())
    texts = {
        "constant": [CONSTANT] * len(theirs),
        "unrelated": [row[0] for row in (*theirs[1:], theirs[0])],
        "lead": [lead(row) for row in split.dialogues],
    }
    for name, answers in texts.items():
        assert getattr(found, name) == rouge_of(score_rows(answers, theirs), OFFICIAL)


def test_what_cannot_be_computed_is_unknown(split):
    references = references_of(split)
    assert trivial_baselines(references, None, OFFICIAL).lead is None
    assert trivial_baselines(dict([*references.items()][:1]), None, OFFICIAL).unrelated is None


def test_exchanged_speakers_and_lone_tags_are_seen_by_the_probes():
    references = {"a": ("#Person1#은 #Person2#에게 우산을 준다.",), "b": ("#Person1#이 간다.",)}
    texts = {"a": "#Person2#은 #Person1#에게 우산을 준다.", "b": "#Person1#"}
    scores = score_rows(list(texts.values()), list(references.values()))
    found = probes(texts, references, scores, OFFICIAL)
    assert found.rows_better_swapped == 1
    assert found.only_tags_match == ("b",)
    assert found.without_tags.rouge1 == pytest.approx(0.5)
