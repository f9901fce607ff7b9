"""Points carry what the events say, on the scale that people read."""

import pytest

from yoyak.trackers.metrics import TrackerMetrics


def test_scores_are_on_the_scale_of_people(make):
    (point,) = [
        point
        for point in TrackerMetrics().points(make.training(24, 12))
        if "dev_part/mean" in point.values
    ]
    assert point.values["dev_part/mean"] == pytest.approx(100 * (0.21 + 0.08 + 0.17) / 3)


def test_a_resumed_attempt_adds_no_point_and_keeps_the_numbers(make):
    events = make.training(24, 17)
    whole = list(TrackerMetrics().points([*events, *events]))
    assert whole == list(TrackerMetrics().points(events))
    assert [point.number for point in whole] == list(range(18))


def test_a_log_read_in_pieces_gives_the_same_points(make):
    events = make.training(24, 17)
    pieces = TrackerMetrics()
    found = [point for event in events for point in pieces.points([event])]
    assert found == list(TrackerMetrics().points(events))
