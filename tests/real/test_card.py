"""The judge on real predictions: golden figures, silent alarms, faults at their place."""

import csv

import pytest

from yoyak.data.corpus import parse_turns
from yoyak.metrics import scorecard, significance
from yoyak.metrics.diagnostics import error_report, text_patterns
from yoyak.metrics.tokenizers import MorphemeAnalyser
from yoyak.values import Dialogue, Split

pytestmark = pytest.mark.real


def table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def dev(shared):
    rows = tuple(
        Dialogue(
            id=row["fname"],
            turns=parse_turns(row["dialogue"]),
            references=(row["summary"],),
            topic=row["topic"],
        )
        for row in table(shared / "data/contest/dev.csv")
    )
    return Split(name="dev", dialogues=rows, fingerprint="")


@pytest.fixture(scope="module")
def predictions(shared):
    path = shared / "data/predictions/dev_pred_kobart_13gi_nlp5.csv"
    return {row["fname"]: row["summary"] for row in table(path)}


@pytest.fixture(scope="module")
def older(shared):
    path = shared / "data/old_translation/dev_old_a.csv"
    return {row["fname"]: row["summary"] for row in table(path)}


@pytest.fixture(scope="module")
def kobart(predictions, dev):
    return scorecard.evaluate(predictions, dev)


def test_the_golden_figures(kobart):
    assert 100 * kobart.rouge.rouge1 == pytest.approx(52.138226, abs=1e-6)
    assert 100 * kobart.rouge.rouge2 == pytest.approx(32.097166, abs=1e-6)
    assert 100 * kobart.rouge.rougeL == pytest.approx(42.855143, abs=1e-6)
    assert 100 * kobart.rouge.mean == pytest.approx(42.36, abs=0.005)
    assert 100 * kobart.rouge.sum == pytest.approx(127.09, abs=0.005)


def test_the_floors_and_probes(kobart):
    assert 100 * kobart.floors.constant.mean == pytest.approx(33.40, abs=0.01)
    assert 100 * kobart.floors.unrelated.mean == pytest.approx(25.37, abs=0.01)
    assert 100 * kobart.floors.lead.mean == pytest.approx(23.95, abs=0.01)
    assert 100 * kobart.probes.swapped.mean == pytest.approx(41.9, abs=0.05)
    assert 100 * kobart.probes.without_tags.mean == pytest.approx(31.53, abs=0.01)


def test_the_interval_has_the_known_width(kobart):
    half = 100 * (kobart.interval.high - kobart.interval.low) / 2
    assert half == pytest.approx(1.01, abs=0.03)


def test_real_predictions_raise_no_alarm(kobart):
    assert kobart.alarms == ()


def test_references_look_like_what_is_known_of_them(kobart):
    references = kobart.statistics.references
    assert references.tagged == 440
    assert sum(references.faults.values()) == 1
    assert references.registers[text_patterns.Register.FORMAL] == 538
    assert kobart.topics.distinct == 475
    assert kobart.topics.are_nearly_distinct


def test_zero_shot_outputs_with_prompt_remains_are_suspected(shared, dev):
    path = shared / "data/predictions/dev_solar_zeroshot_13gi_nlp5.csv"
    texts = {row["fname"]: row["summary_solar"] for row in table(path)}
    found = {alarm.key for alarm in scorecard.evaluate(texts, dev, resamples=100).alarms}
    assert {"metrics.alarm-below-unrelated", "metrics.alarm-malformed-tags"} <= found
    assert "metrics.alarm-ids-differ" not in found


def test_a_card_of_texts_that_were_cut_before_cuts_nothing_again(
    kobart, predictions, dev, monkeypatch
):
    cut = []
    monkeypatch.setattr(MorphemeAnalyser, "tokens", lambda self, texts: cut.extend(texts) or [])
    assert scorecard.evaluate(predictions, dev) == kobart
    assert cut == []


def test_a_better_system_is_proven_better(kobart, older, dev):
    cards = {"kobart": kobart, "older translation": scorecard.evaluate(older, dev)}
    (found,) = significance.compare(cards).contrasts
    assert found.verdict is significance.Verdict.BETTER
    assert 100 * found.difference.mean == pytest.approx(17.77, abs=0.01)
    assert 1.8 < 100 * found.detectable < 2.2


def test_swapped_speakers_are_found_where_summaries_are_good(older, dev):
    references = {row.id: row.references for row in dev.dialogues}
    both = [key for key, text in older.items() if len(text_patterns.speakers(text)) == 2]
    planted = set(both[::2])
    texts = {
        key: text_patterns.swap_speakers(text) if key in planted else text
        for key, text in older.items()
    }
    found = {one.id for one in error_report.swapped_tags(texts, references)}
    assert len(found & planted) >= 0.85 * len(planted)
    assert len(found - planted) <= 0.05 * len(planted)


def test_references_hold_almost_no_invented_names_or_numbers(dev):
    references = {row.id: row.references for row in dev.dialogues}
    texts = {key: row[0] for key, row in references.items()}
    dialogues = {row.id: row for row in dev.dialogues}
    assert len(error_report.find_errors(texts, references, dialogues)) <= 10
