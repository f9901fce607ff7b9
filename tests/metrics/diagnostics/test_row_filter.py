"""Rows chosen by id, fault, topic and words."""

import unicodedata

import pytest

from yoyak.metrics.diagnostics.error_report import ScoredSystem, find_errors
from yoyak.metrics.diagnostics.error_types import ErrorType
from yoyak.metrics.diagnostics.row_filter import RowFilter, diagnose
from yoyak.metrics.scorecard import evaluate_texts
from yoyak.values import Dialogue, Turn


@pytest.fixture(scope="module")
def rows():
    references = {
        "a": ("#Person1#은 소매점에 갑니다.",),
        "b": ("#Person2#은 책을 읽습니다.",),
        "c": ("둘은 만납니다.",),
    }
    texts = {"b": "#Person2#은 책을 읽습니다.", "a": "Person1#은 갑니다.", "x": "남는 행"}
    dialogues = {
        "a": Dialogue(id="a", turns=(Turn(speaker="#Person1#", text="가게?"),), topic="장보기"),
        "b": Dialogue(id="b", turns=(Turn(speaker="#Person2#", text="독서"),), topic="취미"),
    }
    known = {key: references[key] for key in ("a", "b")}
    card = evaluate_texts({key: texts[key] for key in known}, known, dialogues)
    errors = find_errors(texts, references, dialogues)
    return diagnose(ScoredSystem(card=card, texts=texts), errors, references, dialogues)


def test_rows_stand_in_the_references_order_with_score_and_faults(rows):
    assert [row.id for row in rows] == ["a", "b"], "what has no summary or reference is left out"
    first, second = rows
    assert ErrorType.MALFORMED_TAG in first.faults
    assert ErrorType.MALFORMED_TAG not in second.faults
    assert second.mean == pytest.approx(1.0)
    assert first.mean < 1.0
    assert (first.topic, first.dialogue.id) == ("장보기", "a")


@pytest.mark.parametrize(
    ("conditions", "ids"),
    [
        ({}, "ab"),
        ({"ids": ("b", "zz")}, "b"),
        ({"faults": (ErrorType.MALFORMED_TAG,)}, "a"),
        ({"faults": (ErrorType.MALFORMED_TAG, ErrorType.EMPTY)}, "a"),
        ({"faults": (ErrorType.EMPTY,)}, ""),
        ({"topic": "취"}, "b"),
        ({"topic": "ㅈㅂ"}, "a"),
        ({"query": "ㅅㅁㅈ"}, "a"),  # only the reference has it
        ({"query": "독서"}, "b"),  # only the dialogue has it
        ({"query": "person"}, "ab"),
        ({"query": "person", "topic": "장보기"}, "a"),
        ({"query": "독서 책을"}, "b"),  # in the dialogue, and above it in the summary
        ({"query": "독서 소매점"}, ""),
        ({"query": unicodedata.normalize("NFD", "독서")}, "b"),
        ({"ids": ("a",), "topic": "취미"}, ""),
    ],
)
def test_a_row_meets_every_condition(rows, conditions, ids):
    assert [row.id for row in RowFilter(**conditions).keep(rows)] == list(ids)
