"""Stop signals are handled in a block, and what was there before comes back."""

import os
import signal

import pytest

from yoyak.runs.stop_signals import STOP_SIGNALS, on_stop_signal


def send(number):
    os.kill(os.getpid(), number)


@pytest.fixture
def as_if_started_with():
    """Set how a signal is handled at the start of a command, until the end of the test."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield signal.signal
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_every_stop_signal_is_handled_inside_the_block_only(number, as_if_started_with):
    inside, outside = [], []
    as_if_started_with(number, lambda *_: outside.append(number))
    with on_stop_signal(lambda: inside.append(number)):
        send(number)
        send(number)
    send(number)
    assert (len(inside), len(outside)) == (2, 1)


def test_a_signal_that_is_ignored_stays_ignored(as_if_started_with):
    """As ``nohup`` leaves SIGHUP."""
    as_if_started_with(signal.SIGHUP, signal.SIG_IGN)
    as_if_started_with(signal.SIGTERM, signal.SIG_DFL)
    seen = []
    with on_stop_signal(lambda: seen.append("stop")):
        send(signal.SIGHUP)
        assert seen == []
        send(signal.SIGTERM)
    assert seen == ["stop"]
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_the_handlers_are_restored_after_an_error(as_if_started_with):
    as_if_started_with(signal.SIGTERM, signal.SIG_DFL)
    with pytest.raises(ZeroDivisionError), on_stop_signal(lambda: 1 / 0):
        send(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
