"""The two halves of dev: everything once, the same each time, no row in both."""

import pytest

from yoyak.data.dev_halves import halves
from yoyak.errors import BadData
from yoyak.values import Dialogue, Turn


def row(at, text):
    return Dialogue(id=f"dev_{at}", turns=(Turn(speaker="#Person1#", text=text),))


def rows(count):
    return [row(at, f"{at * 7919 + 1} {at * 104729 + 3}") for at in range(count)]


@pytest.mark.parametrize("count", [4, 5, 499])
def test_every_row_is_in_one_half_and_in_the_order_of_the_file(count):
    dev = rows(count)
    selection, judging = halves(dev)
    assert abs(len(selection) - len(judging)) <= 1
    assert sorted((*selection, *judging), key=dev.index) == dev
    assert selection == [one for one in dev if one in selection]
    assert halves(dev) == (selection, judging)
    assert halves(dev, seed=1) != (selection, judging) or count < 6


@pytest.mark.parametrize("seed", range(20))
def test_near_duplicates_are_in_one_half(seed):
    text = "내일 오전 아홉 시에 회의실에서 만나서 분기 보고서를 같이 검토하기로 했습니다."
    twins = [row(40 + at, text + "네" * at) for at in range(5)]
    split = halves([*rows(20), *twins, *rows(40)[20:]], seed)
    assert sorted(sum(one in half for one in twins) for half in split) == [0, 5]
    assert all(20 <= len(half) <= 25 for half in split)


def test_dev_of_one_dialogue_again_and_again_is_refused():
    with pytest.raises(BadData, match="leave 1 of them"):
        halves([row(at, "안녕하세요. 오늘 회의는 몇 시에 시작합니까?") for at in range(8)])


def test_too_few_rows_are_refused():
    with pytest.raises(BadData, match="3 rows"):
        halves(rows(3))
