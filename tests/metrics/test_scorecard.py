"""A file of summaries is judged whole, and what does not fit is refused or reported."""

import unicodedata
from collections import Counter

import msgspec
import numpy as np  # noqa: TID253 -- the oracle
import pytest
from rouge_score import rouge_scorer

from yoyak.errors import BadData
from yoyak.metrics import rouge, scorecard, tokenizers
from yoyak.metrics.protocol import NAMED
from yoyak.metrics.scorecard import Scorecard
from yoyak.metrics.tokenizers import MorphemeAnalyser
from yoyak.values import Prediction, ReferenceMode, StopReason

MEASURES = ("rouge1", "rouge2", "rougeL")


class Morphemes:
    def tokenize(self, text):
        return tokenizers.load("mecab").tokens([text])[0]


def google_means(predictions, split):
    scorer = rouge_scorer.RougeScorer(MEASURES, tokenizer=Morphemes())
    rows = [scorer.score(row.references[0], predictions[row.id]) for row in split.dialogues]
    return {name: np.mean([row[name].fmeasure for row in rows]) for name in MEASURES}


def test_the_means_are_those_of_an_independent_implementation(judged, good, split):
    expected = google_means(good, split)
    assert judged.rouge.rouge1 == pytest.approx(expected["rouge1"])
    assert judged.rouge.rouge2 == pytest.approx(expected["rouge2"])
    assert judged.rouge.rougeL == pytest.approx(expected["rougeL"])
    assert judged.rouge.mean == pytest.approx(np.mean(list(expected.values())))
    assert judged.rouge.sum == pytest.approx(3 * judged.rouge.mean)
    assert np.mean([row.rouge.mean for row in judged.rows]) == pytest.approx(judged.rouge.mean)


def test_precision_and_recall_do_not_change_places(judged):
    # The predictions are reworded beginnings of their references: little wrong, much missing.
    assert judged.measures.rouge1.precision > 0.8
    assert judged.measures.rouge1.recall < 0.6


def test_the_interval_holds_the_mean_and_repeats_with_its_seed(judged, good, split):
    again = scorecard.evaluate(good, split)
    other = scorecard.evaluate(good, split, seed=7)
    assert judged.interval.low < judged.rouge.mean < judged.interval.high
    assert again == judged
    assert other.interval != judged.interval


def test_a_card_survives_json(judged):
    assert msgspec.json.decode(msgspec.json.encode(judged), type=Scorecard) == judged


def test_the_order_of_the_predictions_does_not_matter(judged, good, split):
    turned = dict(reversed(good.items()))
    assert scorecard.evaluate(turned, split) == judged


@pytest.mark.parametrize("name", NAMED)
def test_every_named_definition_can_judge(name, good, split):
    found = scorecard.evaluate(good, split, NAMED[name], resamples=50)
    assert found.protocol.profile is NAMED[name].profile
    assert 0 < found.rouge.mean < 1


def test_both_reference_modes_are_shown_where_rows_have_several(three_references):
    answers = {row.id: row.references[1] for row in three_references.dialogues}
    references = {
        row.id: (row.references[0], row.references[2]) for row in three_references.dialogues
    }
    several = scorecard.evaluate_texts(answers, references)
    mean, best = (several.by_reference_mode[mode] for mode in ReferenceMode)
    assert several.rouge == mean
    assert best.mean > mean.mean
    assert several.protocol.reference_count == "2"
    assert several.floors.lead is None, "without dialogues there is no lead"
    assert several.slices == ()


def test_one_reference_has_one_mode(judged):
    assert set(judged.by_reference_mode) == {ReferenceMode.MEAN}


def test_a_missing_or_foreign_id_is_an_error_for_a_split(good, split):
    fewer = {key: text for key, text in good.items() if key != "dev_3"}
    with pytest.raises(BadData, match=r"1 ids have no prediction.*dev_3") as caught:
        scorecard.evaluate(fewer, split)
    assert caught.value.key == "metrics.ids-differ"
    with pytest.raises(BadData, match="1 predictions have no reference"):
        scorecard.evaluate(good | {"dev_999": "더 있다."}, split)


def test_decomposed_hangul_scores_the_same(judged, good, split):
    decomposed = {key: unicodedata.normalize("NFD", text) for key, text in good.items()}
    found = scorecard.evaluate(decomposed, split)
    assert found.rows == judged.rows
    assert found.protocol == judged.protocol
    assert [alarm.key for alarm in found.alarms] == ["metrics.alarm-decomposed"]
    references = {
        row.id: tuple(unicodedata.normalize("NFD", text) for text in row.references)
        for row in split.dialogues
    }
    both = scorecard.evaluate_texts(decomposed, references)
    assert both.protocol == judged.protocol
    assert both.rouge == judged.rouge


def test_two_predictions_for_one_id_are_an_error(good, split):
    twice = [Prediction(id=key, text=text, raw=text) for key, text in good.items()]
    with pytest.raises(BadData, match="'dev_0' has two predictions"):
        scorecard.evaluate([*twice, twice[0]], split)


def test_files_from_elsewhere_are_scored_on_shared_ids_and_the_rest_is_reported(good, split):
    references = {row.id: row.references for row in split.dialogues}
    partly = {key: text for key, text in good.items() if key not in {"dev_1", "dev_2"}}
    found = scorecard.evaluate_texts(partly | {"extra": "남는 행이다."}, references)
    assert found.n == len(good) - 2
    assert found.protocol.items == found.n
    assert found.alignment.missing == ("dev_1", "dev_2")
    assert found.alignment.leftover == ("extra",)
    assert found.alarms[0].key == "metrics.alarm-ids-differ"
    with pytest.raises(BadData, match="no id is in both files"):
        scorecard.evaluate_texts({"a": "하나"}, references)


def test_an_empty_prediction_scores_nothing_and_costs_only_its_row(judged, good, split):
    with_hole = scorecard.evaluate(good | {"dev_0": ""}, split)
    assert with_hole.rows[0].rouge.sum == 0
    assert with_hole.rows[1:] == judged.rows[1:]


def test_stop_reasons_are_counted_where_they_are_known(good, split):
    def told(stop):
        rows = [Prediction(id=key, text=text, raw=text, stop=stop) for key, text in good.items()]
        return scorecard.evaluate(rows, split).statistics.stopped_by_length

    assert told(StopReason.LENGTH) == len(good)
    assert told(StopReason.STOP_TOKEN) == 0
    assert told(StopReason.IMPORTED) is None


def test_a_single_row_can_be_judged(good, split):
    one = msgspec.structs.replace(split, dialogues=split.dialogues[:1])
    found = scorecard.evaluate({"dev_0": good["dev_0"]}, one)
    assert found.floors.unrelated is None
    assert found.n == 1


def test_the_probes_say_what_the_score_is_made_of(judged):
    assert judged.probes.without_tags.mean < judged.rouge.mean
    assert judged.probes.swapped.mean < judged.rouge.mean
    assert judged.probes.rows_better_swapped <= 2
    assert judged.statistics.tags_found is not None


def test_the_work_of_a_card_grows_linearly_with_its_rows(split, good, monkeypatch):
    """Counted in characters that are cut into tokens and in rows that are scored."""
    work = Counter()
    cut, scored = MorphemeAnalyser.tokens, rouge._score

    def tokens(self, texts):
        work["characters"] += sum(map(len, texts))
        return cut(self, texts)

    def score(hypotheses, *rest):
        work["rows"] += len(hypotheses)
        return scored(hypotheses, *rest)

    monkeypatch.setattr(MorphemeAnalyser, "tokens", tokens)
    monkeypatch.setattr(rouge, "_score", score)

    def counted(times):
        work.clear()
        predictions = {f"{key}-{n}": text for n in range(times) for key, text in good.items()}
        references = {
            f"{row.id}-{n}": row.references for n in range(times) for row in split.dialogues
        }
        scorecard.evaluate_texts(predictions, references, resamples=200)
        return Counter(work)

    few, many = counted(2), counted(8)
    assert few["rows"] > 0
    assert all(many[what] <= 4 * few[what] for what in many)
