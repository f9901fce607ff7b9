"""Names, stages, progress and time left in words; unknown is a dash, in both languages."""

import msgspec
import pytest

from yoyak import messages
from yoyak.ensemble.gain import Gain
from yoyak.events import RunStatus
from yoyak.report.model.build import build
from yoyak.report.model.report import Forecast
from yoyak.report.render import format, words
from yoyak.values import Interval

both = pytest.mark.parametrize("language", messages.LANGUAGES)


@pytest.fixture
def running(make):
    """Step 17 of 24, running."""
    run = make.cut_run()._replace(status=RunStatus.RUNNING)
    return build([run], make.rest()).progress[0]


def changed(value, **fields):
    return msgspec.structs.replace(value, **fields)


def test_a_toy_has_a_star_and_a_name_cannot_turn_the_line_around(view):
    lead, toy, _ = view.systems
    assert (words.name(lead), words.name(toy)) == ("lead", "tiny-bart*")
    assert words.name(changed(lead, name="a\u202eb\nc")) == "ab c"


def test_stages_are_said_in_the_readers_language():
    said = {}
    for language in messages.LANGUAGES:
        with messages.speaking(language):
            said[language] = words.stage("train"), words.stage(None), words.stage("my-own-stage")
    assert said == {
        "en": ("training", "–", "my-own-stage"), "ko": ("학습", "–", "my-own-stage"),
    }  # fmt: skip


def test_progress_is_a_count_and_its_share(running):
    assert words.progress(changed(running, done=127, of=390)) == "127/390 (33%)"
    assert words.progress(changed(running, done=0, of=0)) == "0/0 (100%)"
    assert words.progress(changed(running, of=None)) == "–"


@both
def test_time_left_is_a_range_where_the_slow_pace_differs(running, language):
    with messages.speaking(language):
        one = words.left_range(
            changed(running, forecast=Forecast(p50_seconds=60.0, p90_seconds=60.0))
        )
        two = words.left_range(
            changed(running, forecast=Forecast(p50_seconds=60.0, p90_seconds=200.0))
        )
        assert one == format.duration(60.0)
        assert two == f"{format.duration(60.0)} – {format.duration(200.0)}"


def test_nothing_is_promised_of_a_failed_run_or_without_a_pace(running):
    assert words.left_range(changed(running, forecast=None)) == "–"
    assert words.left_range(changed(running, status=RunStatus.FAILED)) == "–"
    assert words.left_band(changed(running, forecast=None)) == ""
    assert words.left_band(changed(running, status=RunStatus.INTERRUPTED)) == ""


def test_the_end_of_a_stage_counts_from_the_runs_last_word(running):
    left = Forecast(p50_seconds=3600.0, p90_seconds=7200.0)
    now = changed(running, forecast=left, last_at=1_767_225_600.0)
    soon, late = format.moment(1_767_229_200.0), format.moment(1_767_232_800.0)
    assert words.left_band(now) == f"{soon} – {late}"
    alike = changed(now, forecast=Forecast(p50_seconds=3600.0, p90_seconds=3600.0))
    assert words.left_band(alike) == soon


@both
def test_runs_without_a_pace_are_counted_and_not_guessed(language):
    hour = Forecast(p50_seconds=3600.0, p90_seconds=3600.0)
    with messages.speaking(language):
        known = words.all_ends([hour], [1_767_225_600.0])
        part = words.all_ends([hour, None, None], [1_767_225_600.0])
        assert format.moment(1_767_229_200.0) in known
        assert format.moment(1_767_229_200.0) in part
    assert "2" in part.rsplit(":", 1)[1]
    assert known != part


def test_no_end_is_said_while_nothing_runs(view):
    assert words.lineup_end(view) is None, "the one run that is left was cut off"
    assert words.all_ends([], []) is None
    assert words.all_ends([None], [1_767_225_600.0]) is None


@both
def test_the_notes_explain_exactly_what_the_tables_show(make, language):
    with messages.speaking(language):
        bare, full = (
            words.notes(view, view.groups[0])
            for view in (
                build([make.lead_run()], make.rest()),
                build([make.lead_run(), make.toy_run()], make.rest()),
            )
        )
    assert len(bare) == 2, "the floors and the protocol"
    assert len(full) == 4
    assert full[0].startswith("* ")
    assert (full[1], full[-1]) == tuple(bare)


@both
@pytest.mark.parametrize(
    ("low", "high", "key"),
    [(0.001, 0.02, "better"), (-0.02, -0.001, "worse"), (-0.01, 0.01, "not-proven")],
)
def test_a_gain_is_judged_by_whether_its_interval_excludes_zero(low, high, key, language):
    gain = Gain(name="a", mean=0.3, difference=0.0, interval=Interval(low=low, high=high))
    with messages.speaking(language):
        assert words.verdict(gain) == messages.text(f"report.verdict-{key}")


def test_an_interval_of_points_has_both_signs():
    assert words.interval(Interval(low=-0.0123, high=0.02)) == "−1.23 … +2.00"
