"""How far off the forecast is after ten real steps; long version only, for it takes a clock."""

import statistics

import pytest

from yoyak.events import TrainStep
from yoyak.report.model.forecast import Pace

pytestmark = [pytest.mark.torch, pytest.mark.timeout(3600)]

AFTER_STEPS = 10
STEPS = 60
LIMIT = 0.25


def relative_error(events):
    """Of the median forecast after ten steps, against the time that the rest really took."""
    pace, rest = Pace(), []
    forecast = None
    for event in events:
        pace.feed(event)
        if isinstance(event, TrainStep):
            rest.append(event)
            if event.step == AFTER_STEPS:
                forecast, rest = pace.forecast, []
                began = event.at
    return abs(forecast.p50_seconds / (rest[-1].at - began) - 1)


def test_the_forecast_after_ten_steps(long, note, run_of, request):
    if not long:
        pytest.skip("a forecast is measured on a clock, which a busy machine bends: make faults")
    worker = request.getfixturevalue("worker")  # which imports torch
    errors = []
    for form in ("bart", "lora", "nf4"):
        for _ in range(3):
            run = run_of(form, steps=STEPS)
            assert worker(run) == 0
            errors.append(relative_error(run.events()))
    note(
        "estimates",
        {
            "runs": len(errors),
            "median error of the time left": f"{statistics.median(errors):.1%}",
            "largest": f"{max(errors):.1%}",
        },
    )
    assert statistics.median(errors) <= LIMIT
