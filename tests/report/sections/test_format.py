"""Numbers, names, stages and times as people read them; unknown is a dash, in both languages."""

import re

import msgspec
import pytest

from yoyak import messages
from yoyak.ensemble.gain import Gain
from yoyak.events import RunStatus
from yoyak.report.model.build import build
from yoyak.report.model.report import Forecast
from yoyak.report.sections import format
from yoyak.report.sections.model_table import lineup_end
from yoyak.values import Interval


@pytest.mark.parametrize("at", [1e15, -1e15, 1e300])
def test_a_time_on_no_calendar_is_shown_as_it_was_recorded(at):
    assert format.moment(at) == f"{at:g} s"
    assert format.clock(at) == f"{at:g} s"


def test_unknown_is_a_dash_and_never_zero():
    for draw in (format.score, format.points, format.duration, format.moment, format.count):
        assert draw(None) == format.UNKNOWN


def test_less_than_a_second_left_is_no_measurement_of_zero():
    assert format.durations(Forecast(p50_seconds=0.0, p90_seconds=0.01)) == "< 1 s"
    assert format.durations(Forecast(p50_seconds=0.2, p90_seconds=2.0)) == "0.2 s – 2.0 s"


def test_a_duration_has_the_units_that_matter():
    assert format.duration(4.25) == "4.2 s"
    assert format.duration(200) == "3 min 20 s"
    assert format.duration(18_120) == "5 h 02 min"


def test_a_p_value_keeps_two_figures_and_is_no_zero():
    assert format.p_value(0.0) == "< 0.001"
    assert format.p_value(0.0471) == "0.047"


both = pytest.mark.parametrize("language", messages.LANGUAGES)


@pytest.fixture
def running(make):
    """Step 17 of 24, running."""
    run = make.cut_run()._replace(status=RunStatus.RUNNING)
    return build([run], make.rest()).progress[0]


def changed(value, **fields):
    return msgspec.structs.replace(value, **fields)


def test_a_toy_has_a_star(view):
    lead, toy, _ = view.systems
    assert (format.name(lead), format.name(toy)) == ("lead", "tiny-bart*")


def test_stages_are_said_in_the_readers_language():
    said = {}
    for language in messages.LANGUAGES:
        with messages.speaking(language):
            said[language] = format.stage("train"), format.stage(None), format.stage("my-own-stage")
    assert said == {
        "en": ("training", "–", "my-own-stage"), "ko": ("학습", "–", "my-own-stage"),
    }  # fmt: skip


def test_progress_is_a_count_and_its_share(running):
    assert format.progress(changed(running, done=127, of=390)) == "127/390 (33%)"
    assert format.progress(changed(running, done=0, of=0)) == "0/0 (100%)"
    assert format.progress(changed(running, of=None)) == "–"


@both
def test_runs_without_a_pace_are_counted_and_not_guessed(language):
    hour = Forecast(p50_seconds=3600.0, p90_seconds=3600.0)
    waiting = [(RunStatus.QUEUED, None, None)] * 2
    with messages.speaking(language):
        known = format.all_ends([(RunStatus.RUNNING, hour, 1_767_225_600.0)])
        part = format.all_ends([(RunStatus.RUNNING, hour, 1_767_225_600.0), *waiting])
        hour_later = format.clock(1_767_229_200.0)
    assert hour_later in known
    assert hour_later in part
    assert re.search("not estimated yet|추정하지 못한", part)
    assert not re.search("not estimated yet|추정하지 못한", known)


def test_an_end_on_another_day_has_its_date():
    days = Forecast(p50_seconds=2 * 86_400.0, p90_seconds=3 * 86_400.0)
    said = format.ends(1_767_225_600.0, days)
    assert format.moment(1_767_225_600.0 + 2 * 86_400) in said
    assert format.moment(1_767_225_600.0 + 3 * 86_400) in said


def test_no_end_is_said_while_nothing_runs(view):
    assert list(lineup_end(view)) == [], "the one run that is left was cut off"
    assert format.all_ends([]) is None
    assert format.all_ends([(RunStatus.RUNNING, None, 1_767_225_600.0)]) is None


@both
@pytest.mark.parametrize(
    ("low", "high", "key"),
    [(0.001, 0.02, "better"), (-0.02, -0.001, "worse"), (-0.01, 0.01, "not-proven")],
)
def test_a_gain_is_judged_by_whether_its_interval_excludes_zero(low, high, key, language):
    gain = Gain(name="a", mean=0.3, difference=0.0, interval=Interval(low=low, high=high))
    with messages.speaking(language):
        assert format.gain_verdict(gain) == messages.text(f"report.verdict-{key}")


def test_an_interval_of_points_has_both_signs():
    assert format.points_interval(Interval(low=-0.0123, high=0.02)) == "−1.23 … +2.00"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a" * 60, "a" * 60),
        ("a" * 61, f"{'a' * 59}…"),
        (f"{'word ' * 11}words", f"{'word ' * 11}words"),
        ("word " * 13, f"{'word ' * 10}word…"),
        (f"two {'a' * 70}", f"two {'a' * 55}…"),
    ],
)
def test_long_texts_end_after_a_word_where_they_have_some(text, shown):
    assert format.shortened(text) == shown
