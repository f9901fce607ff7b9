"""Axes of tracks: round ticks inside the range; colours that last."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from yoyak.report.render.plots import PALETTE, Axis, Paint, colours, places

FINITE = st.floats(-1e6, 1e6, allow_subnormal=False)


@given(FINITE, st.floats(1e-3, 1e6))
def test_ticks_are_inside_and_evenly_apart(low, width):
    axis = Axis(low, low + width)
    ticks = axis.ticks()
    assert 1 <= len(ticks) <= 6
    assert all(-1e-9 <= tick.at <= 1 + 1e-9 for tick in ticks)
    gaps = [later.at - sooner.at for sooner, later in pairwise(ticks)]
    assert max(gaps, default=0) - min(gaps, default=0) < 1e-6


def test_an_axis_holds_its_values_and_zero_where_asked():
    axis = Axis.over([10.0, 20.0])
    assert axis.low < 10 < 20 < axis.high
    assert Axis.over([10.0, 20.0], zero=True).low == 0
    alone = Axis.over([0.0])
    assert 0 <= alone.share(0.0) < 1
    assert [tick.label for tick in Axis(0.0, 10.0).ticks()] == ["0", "2", "4", "6", "8", "10"]


def test_colours_go_round_and_dashes_tell_the_rounds_apart():
    paints = [Paint.at(place) for place in range(3 * PALETTE)]
    assert len(set(paints)) == 3 * PALETTE
    assert paints[0].colour == paints[PALETTE].colour
    assert Paint.at(None).colour == "var(--ink)"


def test_a_system_has_its_place_in_the_line_up(view):
    assert list(places(view).values()) == list(range(len(view.systems)))
    assert colours(view)["tiny-bart"] == "var(--s1)"
