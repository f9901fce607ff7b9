"""The atlas leads to the rows that matter and marks the words."""

import msgspec
import pytest

from yoyak.metrics import scorecard
from yoyak.metrics.diagnostics import error_report, text_patterns
from yoyak.metrics.diagnostics.error_report import ScoredSystem
from yoyak.metrics.diagnostics.error_types import ErrorType


@pytest.fixture(scope="module")
def references(split):
    return {row.id: row.references for row in split.dialogues}


@pytest.fixture(scope="module")
def dialogues(split):
    return {row.id: row for row in split.dialogues}


def test_the_rows_that_differ_most_come_first(judged, good, split, references):
    worse = good | {"dev_5": "모르는 이야기이다.", "dev_7": ""}
    found = error_report.most_different(
        ScoredSystem(card=judged, texts=good),
        ScoredSystem(card=scorecard.evaluate(worse, split), texts=worse),
        references,
    )
    assert len(found) == len(good)
    assert {row.id for row in found[:2]} == {"dev_5", "dev_7"}
    assert found[0].difference >= found[1].difference > found[2].difference == 0
    assert found[0].references == references[found[0].id]


def test_swapped_speakers_are_found_in_good_summaries(references, dialogues):
    right = {key: row[0] for key, row in references.items()}
    both = [key for key, text in right.items() if len(text_patterns.speakers(text)) == 2]
    planted = set(both[::2])
    texts = {
        key: text_patterns.swap_speakers(text) if key in planted else text
        for key, text in right.items()
    }
    found = error_report.swapped_tags(texts, references)
    assert {one.id for one in found} <= planted
    assert len(found) >= 0.7 * len(planted)
    assert [one.gain for one in found] == sorted((one.gain for one in found), reverse=True)
    assert all(span.text.startswith("#Person") for one in found for span in one.spans)


def test_each_planted_fault_is_listed_with_its_span(good, references, dialogues):
    keys = list(good)
    texts = good | {
        keys[0]: "#Person1#은 Zacharias를 만난다.",
        keys[1]: "#Person1#은 98765원을 낸다.",
        keys[2]: "#Person1#은 밥을 먹고",
        keys[3]: "#Person1#은 밥을 먹어요.",
        keys[4]: "Person1#은 밥을 먹는다.",
        keys[5]: "#Person1#은 食事한다.",
    }
    found = {
        (one.fault, one.id): [span.text for span in one.spans]
        for one in error_report.find_errors(texts, references, dialogues)
    }
    assert found[ErrorType.INVENTED_NAME, keys[0]] == ["Zacharias"]
    assert found[ErrorType.INVENTED_NUMBER, keys[1]] == ["98765"]
    assert found[ErrorType.UNFINISHED, keys[2]] == ["먹고"]
    assert found[ErrorType.REGISTER, keys[3]] == ["#Person1#은 밥을 먹어요."]
    assert found[ErrorType.MALFORMED_TAG, keys[4]] == ["Person1#"]
    assert found[ErrorType.FOREIGN_SCRIPT, keys[5]] == ["食事"]


def test_references_are_nearly_free_of_faults(references, dialogues):
    texts = {key: row[0] for key, row in references.items()}
    found = error_report.find_errors(texts, references, dialogues)
    assert len(found) <= 2, [(one.fault, one.id, one.spans) for one in found]


def test_hostile_texts_are_judged_and_listed_without_harm(good, split, references, dialogues):
    hostile = ("", "\0", "\ud800 말", "가" * 20_000, "🙂" * 50, "각" * 20, "#" * 300,
               "\n" * 100, "Person1" * 500, " " * 40_000 + "끝", "a" * 3000 + ".")  # fmt: skip
    texts = good | dict(zip(good, hostile, strict=False))
    judged = scorecard.evaluate(texts, split, resamples=50)
    found = error_report.find_errors(texts, references, dialogues)
    assert judged.n == len(good)
    assert {one.id for one in found} >= {"dev_0", "dev_3", "dev_6", "dev_8"}
    msgspec.json.encode((judged, found))


def test_texts_without_both_tags_cannot_be_swapped(references):
    assert error_report.swapped_tags(dict.fromkeys(references, "말한다."), references) == ()
