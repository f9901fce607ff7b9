"""Every alarm fires on a planted case, points at the rows, and is silent on good summaries."""

import re
import unicodedata

import pytest

from yoyak import messages
from yoyak.metrics import scorecard
from yoyak.metrics.diagnostics import text_patterns
from yoyak.metrics.sanity_checks import RULES
from yoyak.values import PredictedTexts, Prediction, Severity, StopReason


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
    "metrics.alarm-not-korean": (3, lambda good: edited(good, 3, lambda _: "They talk a lot.")),
    "metrics.alarm-wrapped": (2, lambda good: edited(good, 2, lambda text: f"['{text}']")),
    "metrics.alarm-odd-blanks": (
        1, lambda good: edited(good, 1, lambda text: text.replace(" ", "\u3000")),
    ),
    "metrics.alarm-decomposed": (
        1, lambda good: edited(good, 1, lambda text: unicodedata.normalize("NFD", text)),
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


def test_a_perfect_score_is_an_error_and_a_partly_perfect_one_a_warning(good, split):
    references = {row.id: row.references[0] for row in split.dialogues}
    perfect = scorecard.evaluate(references, split)
    assert perfect.rouge.mean == 1
    assert [(alarm.key, alarm.severity) for alarm in perfect.alarms] == [
        ("metrics.alarm-perfect", Severity.ERROR)
    ]
    some = list(good)[:4]
    partly = scorecard.evaluate(good | {key: references[key] for key in some}, split)
    alarm = next(alarm for alarm in partly.alarms if alarm.key == "metrics.alarm-perfect")
    assert alarm.severity is Severity.WARNING
    assert alarm.rows == tuple(some)


@pytest.mark.parametrize(
    "garble",
    [
        lambda text: "#Person1# tells #Person2# about the meeting.",
        lambda text: re.sub("[가-힣]", "?", text),
        lambda text: re.sub("[가-힣]", "\ufffd", text),
        lambda text: "12345",
    ],
)
@pytest.mark.parametrize("share", [0.27, 1])
def test_answers_that_are_not_korean_are_an_error(garble, share, good, split):
    count = round(share * len(good))
    found = scorecard.evaluate(edited(good, count, garble), split, resamples=10).alarms
    alarm = next(alarm for alarm in found if alarm.key == "metrics.alarm-not-korean")
    assert alarm.severity is Severity.ERROR
    assert alarm.rows == tuple(list(good)[:count])


@pytest.mark.parametrize(
    "wrap", ["['{}']", '["{}"]', "b'{}'", '"{}"', "“{}”", '{{"summary": "{}"}}', "```{}```",
             "**요약**: {}", "# {}", "- {}", "<p>{}</p>"],
)  # fmt: skip
def test_wrapped_answers_are_noticed(wrap, good, split):
    planted = edited(good, len(good), wrap.format)
    keys = {alarm.key for alarm in scorecard.evaluate(planted, split, resamples=10).alarms}
    assert "metrics.alarm-wrapped" in keys


def test_quotes_and_emoji_inside_a_text_are_no_wrapping_and_no_odd_blank():
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    for text in ("'물'과 '불'을 말한다.", '"가자"라고 말한다.', f"둘은 {family} 웃는다.", "3 * 4"):
        assert text_patterns.wrappers(text) == ()
        assert text_patterns.odd_blanks(text) == ()
    for blank in "\u00a0\u3000\u200b\u200d\ufeff\u3164":
        (span,) = text_patterns.odd_blanks(f"가{blank}나")
        assert (span.start, span.text) == (1, blank)


def test_exchanged_files_are_noticed_by_their_faults_or_their_dialogues(good, split):
    references = {row.id: row.references[0] for row in split.dialogues}
    poor = {key: (text.replace("#", ""),) for key, text in good.items()}
    keys = {alarm.key for alarm in scorecard.evaluate_texts(references, poor).alarms}
    assert "metrics.alarm-exchanged" in keys
    fair = {key: (text,) for key, text in good.items()}
    labelled = PredictedTexts(references)
    labelled.has_dialogues = True
    keys = [
        {alarm.key for alarm in scorecard.evaluate_texts(ours, fair).alarms}
        for ours in (labelled, references)
    ]
    assert ["metrics.alarm-labelled-predictions" in found for found in keys] == [True, False]


def test_many_rows_that_share_few_texts_are_an_error(good, split):
    few = list(good.values())[:4]
    repeated = {key: few[number % 4] for number, key in enumerate(good)}
    found = scorecard.evaluate(repeated, split, resamples=10).alarms
    alarm = next(alarm for alarm in found if alarm.key == "metrics.alarm-identical")
    assert alarm.severity is Severity.ERROR
    assert alarm.evidence["rows"] == str(len(good))


def test_ids_that_only_look_the_same_are_named_in_the_alarm(good, split):
    references = {row.id: row.references for row in split.dialogues}
    moved = {("dev_3\u200b" if key == "dev_3" else key): text for key, text in good.items()}
    found = scorecard.evaluate_texts(moved, references, resamples=10).alarms
    alarm = next(alarm for alarm in found if alarm.key == "metrics.alarm-ids-look-alike")
    assert "'dev_3\\u200b' ≠ 'dev_3'" in alarm.sentence


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
        "metrics.alarm-ids-differ",  # test_scorecard
        "metrics.alarm-ids-look-alike", "metrics.alarm-exchanged", "metrics.alarm-perfect",
        "metrics.alarm-labelled-predictions",
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
