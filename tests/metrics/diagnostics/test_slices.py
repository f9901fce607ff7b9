"""Rows are divided by what they are; nothing is lost, and topics are not over-read."""

import msgspec
import pytest

from yoyak.metrics.diagnostics import slices
from yoyak.metrics.diagnostics.slices import SliceKind, Topics
from yoyak.values import Dialogue, Turn


def dialogue(number, topic=None, turns=2, words=3):
    return Dialogue(
        id=f"dev_{number}",
        turns=tuple(
            Turn(speaker=f"#Person{1 + turn % 2}#", text="말 " * words) for turn in range(turns)
        ),
        topic=topic,
    )


def found(rows, means):
    return slices.slices(
        {row.id: row for row in rows},
        {row.id: mean for row, mean in zip(rows, means, strict=True)},
        seed=1,
        resamples=200,
    )


def test_every_row_is_in_one_slice_of_each_kind():
    rows = [dialogue(number, turns=1 + number % 9, words=number) for number in range(40)]
    pieces = found(rows, [number / 40 for number in range(40)])
    for kind in (SliceKind.LENGTH, SliceKind.TURNS, SliceKind.SPEAKERS):
        own = [piece for piece in pieces if piece.kind is kind]
        assert sum(piece.rows for piece in own) == 40
        assert sum(piece.rows * piece.mean for piece in own) / 40 == pytest.approx(19.5 / 40)
    assert len([piece for piece in pieces if piece.kind is SliceKind.LENGTH]) == 4


def test_a_weakness_on_long_dialogues_is_seen():
    rows = [dialogue(number, words=1 + number) for number in range(40)]
    lengths = [
        piece
        for piece in found(rows, [0.5 if number < 30 else 0.2 for number in range(40)])
        if piece.kind is SliceKind.LENGTH
    ]
    assert [piece.mean for piece in lengths] == pytest.approx([0.5, 0.5, 0.5, 0.2])


def test_equal_lengths_stay_together():
    pieces = found([dialogue(number) for number in range(8)], [0.1] * 8)
    assert [piece.rows for piece in pieces if piece.kind is SliceKind.LENGTH] == [8]


def test_topics_are_grouped_by_their_last_word_and_small_groups_left_out():
    topics = ["호텔 예약", "식당 예약"] * 6 + [f"{number}번 사건" for number in range(3)]
    rows = [dialogue(number, topic) for number, topic in enumerate(topics)]
    pieces = [piece for piece in found(rows, [0.3] * 15) if piece.kind is SliceKind.TOPIC]
    assert [(piece.label, piece.rows) for piece in pieces] == [("예약", 12)]


def test_nearly_distinct_topics_are_called_so():
    assert Topics(rows=499, distinct=475).are_nearly_distinct
    assert not Topics(rows=499, distinct=20).are_nearly_distinct
    assert slices.topics([dialogue(1)]) is None


def test_a_slice_of_one_row_has_no_interval():
    row = msgspec.structs.replace(dialogue(0), topic=None)
    assert {piece.interval for piece in found([row], [0.4])} == {None}


def test_rows_without_dialogues_give_no_slices():
    assert slices.slices({}, {"a": 0.1}, seed=1, resamples=10) == ()
