"""Lists of texts are scored as a file with the same rows is, and what are no rows is refused."""

import unicodedata

import pytest

from yoyak import messages
from yoyak.errors import BadData, UsageError
from yoyak.metrics import score
from yoyak.metrics.protocol import NAMED
from yoyak.metrics.scorecard import evaluate_texts


@pytest.fixture(scope="module")
def rows(three_references):
    """Predictions and three references each, by id."""
    found = three_references.dialogues[:12]
    return {row.id: row.references[1] for row in found}, {row.id: row.references for row in found}


@pytest.mark.parametrize("protocol", ["official", "official-max", "rouge101"])
def test_lists_score_as_the_same_rows_by_id(rows, protocol):
    texts, references = rows
    expected = evaluate_texts(texts, references, definition=NAMED[protocol])
    by_id = score(texts, references, protocol=protocol)
    listed = score(list(texts.values()), list(references.values()), protocol=protocol)
    assert by_id == expected
    assert listed.rouge == expected.rouge
    assert listed.interval == expected.interval
    assert [row.rouge for row in listed.rows] == [row.rouge for row in expected.rows]
    assert listed.rows[0].id == "0"


def test_one_reference_may_stand_without_a_list(rows):
    texts, references = rows
    first = [row[0] for row in references.values()]
    assert score(texts.values(), first) == score(list(texts.values()), [[one] for one in first])


def test_rows_by_id_are_matched_in_any_order_and_must_be_whole(rows):
    texts, references = rows
    backwards = dict(reversed(texts.items()))
    assert score(backwards, references) == score(texts, references)
    backwards.popitem()
    with pytest.raises(BadData, match="1 ids have no prediction"):
        score(backwards, references)


def test_decomposed_text_scores_as_it_reads_and_is_named(rows):
    texts, references = rows
    decomposed = {key: unicodedata.normalize("NFD", text) for key, text in texts.items()}
    card = score(decomposed, references)
    assert card.rouge == score(texts, references).rouge
    assert "metrics.alarm-decomposed" in {alarm.key for alarm in card.alarms}


@pytest.mark.parametrize(
    ("predictions", "references", "error", "words"),
    [
        ("한 문장", ["한 문장"], UsageError, "a single text"),
        (["한 문장"], "한 문장", UsageError, "a single text"),
        ({"a": "한 문장"}, ["한 문장"], UsageError, "mappings by id"),
        (["하나", "둘"], ["하나"], BadData, "2 predictions"),
        (["하나", float("nan")], ["하나", "둘"], BadData, "row '1' holds nan"),
        (["하나"], [None], BadData, "row '0' holds None"),
        (["하나"], [["하나", None]], BadData, "row '0' holds None"),
        (["하나", "둘"], [["하나"], []], BadData, "row '1' has no reference"),
        ([], [], BadData, "no rows"),
    ],
)
def test_what_are_no_rows_is_refused_by_name(predictions, references, error, words):
    with pytest.raises(error, match=words):
        score(predictions, references)
    with messages.speaking("ko"), pytest.raises(error) as refused:
        score(predictions, references)
    assert " → " in str(refused.value)


def test_a_card_prints_as_one_line(rows):
    texts, references = rows
    card = score(texts, references)
    assert f"mean {100 * card.rouge.mean:.2f}" in repr(card)
    assert "\n" not in repr(card)
    assert len(repr(card)) < 200


def test_a_handful_of_short_rows_raises_no_alarm_about_ratios():
    # R-1 equals R-L wherever no two shared words change places, which short texts rarely show.
    card = score(["친구와 저녁을 먹는다."], ["친구와 점심을 먹는다."])
    assert card.rouge.rouge1 == card.rouge.rougeL
    assert card.alarms == ()
