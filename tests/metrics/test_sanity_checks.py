"""Every alarm fires on a planted case, points at the rows, and is silent on good summaries."""

import pytest

from yoyak import messages
from yoyak.metrics import scorecard
from yoyak.metrics.sanity_checks import RULES, Severity
from yoyak.values import Prediction, StopReason


def first_rows(good, count):
    return list(good)[:count]


def edited(good, count, change):
    return {
        key: change(text) if number < count else text
        for number, (key, text) in enumerate(good.items())
    }


def broken_tags(text):
    return text.replace("#Person1#", "Person1#")


def repeating(text):
    return f"{text} 그리고 또 그리고 또 그리고 또 그리고 또 말한다."


PLANTED = {
    "metrics.alarm-empty": (1, lambda good: edited(good, 1, lambda _: "  ")),
    "metrics.alarm-foreign-script": (1, lambda good: edited(good, 1, lambda text: f"{text} 会議")),
    "metrics.alarm-malformed-tags": (3, lambda good: edited(good, 24, broken_tags)),
    "metrics.alarm-unknown-speakers": (1, lambda good: edited(good, 1, lambda _: "#Person7# 감.")),
    "metrics.alarm-cut-endings": (2, lambda good: edited(good, 2, lambda text: text[:-4])),
    "metrics.alarm-repetition": (2, lambda good: edited(good, 2, repeating)),
    "metrics.alarm-prompt-echo": (2, lambda good: edited(good, 2, lambda text: f"[INST] {text}")),
    "metrics.alarm-identical": (3, lambda good: edited(good, 3, lambda _: "둘은 이야기를 나눈다.")),
    "metrics.alarm-tags-missing": (
        20, lambda good: edited(good, 24, lambda text: text.replace("#", "")),
    ),
    "metrics.alarm-only-tags-match": (
        12, lambda good: edited(good, 24, lambda _: "#Person1# #Person2#"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("key", PLANTED)
def test_each_row_alarm_fires_with_its_rows(key, good, split):
    at_least, plant = PLANTED[key]
    found = {alarm.key: alarm for alarm in scorecard.evaluate(plant(good), split).alarms}
    assert key in found
    assert len(found[key].rows) >= at_least
    assert set(found[key].rows) <= set(good)


def test_good_summaries_raise_no_alarm(judged):
    assert judged.alarms == ()


def test_references_as_answers_raise_no_alarm(split):
    perfect = scorecard.evaluate({row.id: row.references[0] for row in split.dialogues}, split)
    assert perfect.rouge.mean == 1
    assert perfect.alarms == ()


def test_nonsense_is_below_both_floors(good, split):
    nonsense = {key: f"파란 고래 {number}마리." for number, key in enumerate(good)}
    found = {alarm.key: alarm for alarm in scorecard.evaluate(nonsense, split).alarms}
    assert found["metrics.alarm-below-unrelated"].severity is Severity.ERROR
    assert found["metrics.alarm-below-constant"].severity is Severity.WARNING


def test_the_same_answer_everywhere_is_an_error(good, split):
    found = scorecard.evaluate(dict.fromkeys(good, "#Person1#이 #Person2#와 만난다."), split).alarms
    identical = next(alarm for alarm in found if alarm.key == "metrics.alarm-identical")
    assert identical.severity is Severity.ERROR
    assert identical.evidence["percent"] == "100.0"


def test_shifted_rows_are_caught_by_the_unrelated_floor(split):
    rows = split.dialogues
    shifted = {
        row.id: other.references[0] for row, other in zip(rows, (*rows[2:], *rows[:2]), strict=True)
    }
    keys = {alarm.key for alarm in scorecard.evaluate(shifted, split).alarms}
    assert keys & {"metrics.alarm-below-unrelated", "metrics.alarm-below-constant"}


def test_a_tokenizer_that_sees_tags_only_is_betrayed_by_equal_scores(good, split):
    from yoyak.metrics.protocol import Definition

    ascii_only = Definition(analyser="ascii-forced")
    found = scorecard.evaluate(dict.fromkeys(good, "#Person1#과 #Person2#."), split, ascii_only)
    assert found.rouge.mean > 0.3
    assert "metrics.alarm-rouge1-is-rougel" in {alarm.key for alarm in found.alarms}


def test_rows_that_reached_the_token_limit_are_counted(good, split):
    rows = [
        Prediction(id=key, text=text, raw=text, stop=StopReason.LENGTH)
        for key, text in good.items()
    ]
    keys = {alarm.key for alarm in scorecard.evaluate(rows, split).alarms}
    assert "metrics.alarm-stopped-by-length" in keys


def test_every_rule_was_planted_here():
    elsewhere = {
        "metrics.alarm-ids-differ",  # test_card
        "metrics.alarm-below-unrelated", "metrics.alarm-below-constant",
        "metrics.alarm-rouge1-is-rougel", "metrics.alarm-stopped-by-length",
    }  # fmt: skip
    assert {rule.key for rule in RULES} == set(PLANTED) | elsewhere


@pytest.mark.parametrize("lang", messages.LANGUAGES)
def test_every_alarm_speaks_both_languages(lang, good, split):
    alarms = [
        alarm
        for _, plant in PLANTED.values()
        for alarm in scorecard.evaluate(plant(good), split, resamples=10).alarms
    ]
    with messages.speaking(lang):
        assert all("→" in alarm.sentence for alarm in alarms)
