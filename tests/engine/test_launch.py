import os
import signal

import pytest

from yoyak.engine import launch
from yoyak.engine.launch import end_as, exit_code
from yoyak.errors import Interrupted, RunFailed


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([Interrupted.exit_code], Interrupted.exit_code),
        ([Interrupted.exit_code, -signal.SIGKILL], -signal.SIGKILL),
        ([Interrupted.exit_code, RunFailed.exit_code], RunFailed.exit_code),
        ([Interrupted.exit_code, 1], 1),
        ([RunFailed.exit_code, -signal.SIGSEGV], -signal.SIGSEGV),
    ],
)
def test_the_exit_code_is_that_of_the_process_that_lost_the_others(codes, expected):
    assert exit_code(codes) == expected


def test_what_a_signal_ended_ends_by_that_signal(monkeypatch):
    sent = []
    monkeypatch.setattr(launch.os, "kill", lambda pid, number: sent.append((pid, number)))
    with pytest.raises(SystemExit):
        end_as(-signal.SIGKILL)
    assert sent == [(os.getpid(), signal.SIGKILL)]


def test_an_exit_code_is_passed_on():
    with pytest.raises(SystemExit) as raised:
        end_as(Interrupted.exit_code)
    assert raised.value.code == Interrupted.exit_code


def test_nothing_is_started_where_the_parent_is_gone(monkeypatch):
    monkeypatch.setattr(launch, "die_with_parent", lambda _: None)
    assert launch.main(2, os.getppid() + 1, ["no_such_module"]) == Interrupted.exit_code
