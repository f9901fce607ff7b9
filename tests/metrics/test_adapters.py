"""The metric can be called as ``evaluate`` and ``lm-eval`` call theirs."""

import unicodedata

import pytest

from yoyak.errors import BadData
from yoyak.metrics import RougeMetric, score

PREDICTIONS = ["친구와 저녁을 먹는다.", "지갑을 잃어버렸다.", "회의는 세 시에 시작한다."]
REFERENCES = [["친구와 점심을 먹는다.", "친구를 만난다."], ["지갑을 찾는다."], ["회의는 네 시다."]]


def test_a_call_returns_the_means_of_the_scorecard():
    card = score(PREDICTIONS, REFERENCES)
    assert RougeMetric()(predictions=PREDICTIONS, references=REFERENCES) == {
        "rouge1": card.rouge.rouge1,
        "rouge2": card.rouge.rouge2,
        "rougeL": card.rouge.rougeL,
        "rouge_mean": card.rouge.mean,
    }


def test_another_protocol_is_used():
    best = RougeMetric("official,refs=max")(PREDICTIONS, REFERENCES)
    assert best["rouge1"] > RougeMetric()(PREDICTIONS, REFERENCES)["rouge1"]


def test_decomposed_text_scores_as_composed():
    decomposed = [unicodedata.normalize("NFD", text) for text in PREDICTIONS]
    metric = RougeMetric()
    assert metric(decomposed, REFERENCES) == metric(PREDICTIONS, REFERENCES)


def test_collected_rows_are_computed_once():
    metric = RougeMetric()
    metric.add(prediction=PREDICTIONS[0], reference=REFERENCES[0])
    metric.add_batch(predictions=PREDICTIONS[1:], references=REFERENCES[1:])
    assert metric.compute() == metric(PREDICTIONS, REFERENCES)
    with pytest.raises(BadData, match="no rows"):
        metric.compute()
    with pytest.raises(BadData, match="0 predictions"):
        metric.compute(references=REFERENCES)


def test_evaluate_combines_it_by_name():
    """What ``evaluate.combine`` and its evaluators do with a module (evaluate 0.4.6)."""
    metric = RougeMetric()
    assert metric.name == "yoyak_rouge"
    combined = metric.compute(predictions=PREDICTIONS, references=REFERENCES)
    assert set(combined) == {"rouge1", "rouge2", "rougeL", "rouge_mean"}


def test_lm_eval_calls_it_row_by_row():
    """As ``ConfigurableTask.process_results`` of lm-eval 0.4.13 does; it then takes the mean."""
    metric = RougeMetric()
    assert metric.__name__ == "yoyak_rouge"
    call = metric.__call__
    rows = [
        call(references=[gold], predictions=[found])
        for gold, found in zip(REFERENCES, PREDICTIONS, strict=True)
    ]
    for name, value in metric(PREDICTIONS, REFERENCES).items():
        assert sum(row[name] for row in rows) / len(rows) == pytest.approx(value)
