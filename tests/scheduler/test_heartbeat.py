"""Slow is not stuck, and silence alone proves neither."""

import os
import time

import pytest

from yoyak.runs.liveness import Liveness
from yoyak.scheduler.heartbeat import CpuActivity, Heartbeat


def after(pauses, silence):
    now, pulse = 0.0, Heartbeat(0.0)
    for pause in pauses:
        now += pause
        pulse.record(now)
    return pulse, now + silence


@pytest.mark.parametrize(
    ("pauses", "silence", "busy", "mood"),
    [
        ([], 299, False, Liveness.RUNNING),
        ([], 301, True, Liveness.SLOW),
        ([], 301, False, Liveness.STUCK),
        ([], 301, None, Liveness.STUCK),
        ([8.7] * 40, 299, False, Liveness.RUNNING),  # an evaluation is as quiet as that
        ([60.0] * 40, 599, False, Liveness.RUNNING),  # ten usual pauses
        ([60.0] * 40, 601, True, Liveness.SLOW),
        ([60.0] * 40, 601, False, Liveness.STUCK),
        ([60.0] * 40, 3601, True, Liveness.STUCK),  # whatever it computes, it leads nowhere
        ([0.1] * 49 + [200.0], 301, False, Liveness.STUCK),  # one long pause is not the usual one
    ],
)
def test_moods(pauses, silence, busy, mood):
    pulse, now = after(pauses, silence)
    assert pulse.liveness(now, is_busy=busy) is mood


def test_effort_tells_computing_from_sleeping():
    effort = CpuActivity(os.getpid(), 0.0)
    until = time.process_time() + 0.1
    while time.process_time() < until:
        sum(range(1000))
    assert effort.is_busy(1.0) is True  # at least 0.1 s of processor time within a second
    assert effort.is_busy(1e6) is False


def test_effort_of_nobody_is_unknown():
    assert CpuActivity(2**22 + 1, 0.0).is_busy(1.0) is None
