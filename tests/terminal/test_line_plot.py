"""A curve in braille dots."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.terminal.line_plot import line_plot

DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


def dots(lines):
    """The dots of a plot as (x, y), y downwards."""
    body = [line.partition("┤" if "┤" in line else "│")[2] for line in lines[:-1]]
    return {
        (2 * column + x, 4 * row + y)
        for row, line in enumerate(body)
        for column, letter in enumerate(line)
        if letter != " "
        for y in range(4)
        for x in range(2)
        if (ord(letter) - 0x2800) & DOTS[y][x]
    }


def test_a_falling_line_is_a_diagonal():
    lines = line_plot([0, 10], [1.0, 0.0], 4 + 1 + 1 + 10, 6)
    assert lines[0].startswith("1.00 ┤")
    assert lines[-2].startswith("0.00 ┤")
    assert lines[-1].split() == ["└0", "10"]
    assert dots(lines) == {(x, x) for x in range(20)}


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=60),
    st.integers(24, 90),
    st.integers(3, 20),
)
def test_every_plot_is_inside_its_field_and_touches_top_and_bottom(ys, width, height):
    lines = line_plot(range(len(ys)), ys, width, height)
    assert len(lines) == height
    assert max(map(len, lines)) <= width
    found = dots(lines)
    rows = {y for _, y in found}
    if max(ys) > min(ys):
        assert (min(rows), max(rows)) == (0, 4 * (height - 1) - 1)
    else:
        assert rows == {0}


def test_what_is_not_finite_is_left_out_and_without_room_there_is_nothing():
    assert line_plot([1, 2], [math.nan, math.inf], 40, 8) == []
    assert line_plot([1, 2, 3], [4.0, math.nan, 2.0], 40, 8) == line_plot([1, 3], [4.0, 2.0], 40, 8)
    assert line_plot([1, 2], [1.0, 2.0], 8, 8) == []
    assert line_plot([1, 2], [1.0, 2.0], 40, 2) == []
    assert line_plot([], [], 40, 8) == []


def test_one_point_is_one_dot():
    assert len(dots(line_plot([3], [1.0], 40, 8))) == 1


def test_unequal_lists_are_a_mistake():
    with pytest.raises(ValueError, match="zip"):
        line_plot([1, 2], [1.0], 40, 8)
