"""Numbers as people read them."""

import pytest

from yoyak.report.render import format


@pytest.mark.parametrize("at", [1e15, -1e15, 1e300])
def test_a_time_on_no_calendar_is_shown_as_it_was_recorded(at):
    assert format.moment(at) == f"{at:g} s"
    assert format.clock(at) == f"{at:g} s"


def test_unknown_is_a_dash_and_never_zero():
    for draw in (format.score, format.points, format.duration, format.moment, format.count):
        assert draw(None) == format.UNKNOWN


def test_a_duration_has_the_units_that_matter():
    assert format.duration(4.25) == "4.2 s"
    assert format.duration(200) == "3 min 20 s"
    assert format.duration(18_120) == "5 h 02 min"


def test_a_p_value_keeps_two_figures_and_is_no_zero():
    assert format.p_value(0.0) == "< 0.001"
    assert format.p_value(0.0471) == "0.047"
