"""Time left follows from what was measured."""

import random

import pytest

from yoyak.events import CheckpointSaved, PredictionProgress, Prepared, TrainStep
from yoyak.report.model import eta
from yoyak.report.model.values import Forecast


def log(seconds, steps, saved=0.0):
    events = [
        Prepared(at=0, rows=8 * steps, rows_shortened=0, steps=steps, steps_per_epoch=steps,
                 tokens_per_epoch=1, supervised_tokens_per_epoch=1, parameters=1,
                 trainable_parameters=1)
    ]  # fmt: skip
    for step, second in enumerate(seconds, 1):
        events.append(
            TrainStep(at=0, step=step, epoch=0, loss=1, learning_rate=1, grad_norm=1, tokens=1,
                    supervised_tokens=1, rows=8, seconds=second)
        )  # fmt: skip
        events.append(CheckpointSaved(at=0, step=step, name="s", size_bytes=1, seconds=saved))
    return events


def test_the_stated_example_is_38_minutes_and_not_40():
    """127 of 390 steps at 8.7 s leave 263 × 8.7 s = 38.1 min."""
    left = eta.pace_of(log([8.7] * 127, 390)).forecast
    assert left is not None
    assert left.p50_seconds / 60 == pytest.approx(38.1, abs=0.05)
    assert left.p90_seconds == pytest.approx(left.p50_seconds)


def test_evaluations_and_saves_count():
    left = eta.pace_of(log([1.0] * 10, 20, saved=0.5)).forecast
    assert left is not None
    assert left.p50_seconds == pytest.approx(15.0)


def test_nothing_is_said_before_the_first_step():
    assert eta.pace_of(log([], 20)).forecast is None
    assert eta.until_all([], 1) is None


def test_the_truth_is_seldom_beyond_the_slow_forecast():
    """Paces that drift in stretches, as long batches and busy disks do: nine in ten end in time."""
    draw = random.Random(1)
    inside = 0
    for _ in range(200):
        paces = [draw.lognormvariate(0, 0.4) for _ in range(40)]
        seconds = [pace * draw.uniform(0.8, 1.2) for pace in paces for _ in range(10)]
        left = eta.pace_of(log(seconds[:200], 400)).forecast
        assert left is not None
        inside += sum(seconds[200:]) <= left.p90_seconds
    assert inside >= 180


def test_rows_go_by_their_own_pace():
    steps = [
        PredictionProgress(at=0, split="dev", done=done, of=100, seconds=2.0 * done)
        for done in (0, 10, 40)
    ]
    left = eta.generation_left(steps)
    assert left is not None
    assert left.p50_seconds == pytest.approx(120.0)
    assert eta.generation_left(steps[:1]) is None


def test_runs_share_the_places_there_are_each_in_its_turn():
    runs = [Forecast(p50_seconds=seconds, p90_seconds=2 * seconds) for seconds in (60, 30, 20, 50)]
    one, two = (eta.until_all(runs, places) for places in (1, 2))
    assert one == Forecast(p50_seconds=160, p90_seconds=320)
    # On two: 60 beside 30 + 20, and the last one on the place that is free after 50.
    assert two == Forecast(p50_seconds=100, p90_seconds=200)
    assert eta.until_all(runs, 9) == Forecast(p50_seconds=60, p90_seconds=120)
