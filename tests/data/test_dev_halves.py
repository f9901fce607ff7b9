"""The two halves of dev: everything once, the same each time, no row in both."""

import pytest

from yoyak.data.dev_halves import halves
from yoyak.errors import BadData
from yoyak.values import Dialogue, Turn


def rows(count):
    turns = (Turn(speaker="#Person1#", text="안녕하세요."),)
    return [Dialogue(id=f"dev_{at}", turns=turns) for at in range(count)]


@pytest.mark.parametrize("count", [4, 5, 499])
def test_every_row_is_in_one_half_and_in_the_order_of_the_file(count):
    dev = rows(count)
    selection, judging = halves(dev)
    assert abs(len(selection) - len(judging)) <= 1
    assert sorted((*selection, *judging), key=dev.index) == dev
    assert selection == [one for one in dev if one in selection]
    assert halves(dev) == (selection, judging)
    assert halves(dev, seed=1) != (selection, judging) or count < 6


def test_too_few_rows_are_refused():
    with pytest.raises(BadData, match="3 rows"):
        halves(rows(3))
