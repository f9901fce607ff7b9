"""Steering from another process: one run stops, all stop, one is put first."""

import os
import signal
import socket
from typing import NamedTuple

import pytest

from yoyak.config import load
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.errors import Unavailable, UsageError
from yoyak.events import Finished, Queued
from yoyak.runs.run import LockHolder, Run
from yoyak.runs.workspace import Workspace
from yoyak.scheduler import control
from yoyak.scheduler.worker_process import LAUNCHER


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def runs(workspace):
    corpus = read_corpus(sample.folder())
    made = [
        workspace.find_or_create(load.resolve(name).recipe, corpus, lambda: b"{}")
        for name in ("lead", "tiny-bart", "tiny-qlora")
    ]
    for run in made:
        run.emit(Queued(at=1.0, recipe=run.identity.recipe))
    return made


@pytest.fixture
def sent(monkeypatch):
    found = []
    monkeypatch.setattr(os, "kill", lambda pid, number: found.append((pid, number)))
    return found


def held_by(monkeypatch, holders):
    monkeypatch.setattr(Run, "holder", lambda run: holders.get(run.name))


def test_the_worker_of_one_run_is_asked_to_stop(runs, sent, monkeypatch):
    held_by(monkeypatch, {runs[1].name: LockHolder(pid=41, host=socket.gethostname())})
    control.stop_run(runs[1])
    assert sent == [(41, signal.SIGTERM)]
    with pytest.raises(UsageError, match="is not running"):
        control.stop_run(runs[0])


def test_a_run_of_another_machine_is_not_a_process_here(runs, sent, monkeypatch):
    held_by(monkeypatch, {runs[0].name: LockHolder(pid=41, host="elsewhere")})
    with pytest.raises(Unavailable, match="elsewhere"):
        control.stop_run(runs[0])
    assert sent == []


def test_all_are_stopped_by_one_signal_to_each_command(workspace, runs, sent, monkeypatch):
    here = socket.gethostname()
    holders = {runs[0].name: LockHolder(pid=1001, host=here)}
    holders[runs[2].name] = LockHolder(pid=1002, host=here)
    held_by(monkeypatch, holders)
    monkeypatch.setattr(control, "_parent_of", lambda _: 1000)
    assert control.stop_all(workspace) == (runs[0].name, runs[2].name)
    assert sent == [(1000, signal.SIGTERM)]
    held_by(monkeypatch, {})
    with pytest.raises(UsageError, match="nothing is running"):
        control.stop_all(workspace)


def test_a_worker_without_its_scheduler_is_stopped_itself():
    gone = LockHolder(pid=2**30, host="here")
    assert control._parent_of(gone) == gone.pid


def test_the_command_above_the_launcher_of_several_processes_is_stopped(monkeypatch):
    import psutil

    commands = {
        10: ["/bin/bash", "train-yoyak.sh"],
        11: ["/venv/bin/python", "/venv/bin/yoyak", "run", "--processes", "2"],
        12: [*LAUNCHER, "2", "11", "yoyak.scheduler.worker"],
        13: ["/venv/bin/python", "-P", "-m", "yoyak.scheduler.worker"],
    }

    class Process(NamedTuple):
        pid: int

        def parent(self):
            return Process(self.pid - 1)

        def cmdline(self):
            return commands[self.pid]

    monkeypatch.setattr(psutil, "Process", Process)
    assert control._parent_of(LockHolder(pid=13, host="here")) == 11
    commands[12] = commands[11]
    assert control._parent_of(LockHolder(pid=13, host="here")) == 12


def test_a_parent_that_may_not_be_looked_at_is_no_scheduler(monkeypatch):
    import psutil

    def refuse(process):
        raise psutil.AccessDenied(process.pid)

    monkeypatch.setattr(psutil.Process, "cmdline", refuse)
    assert control._parent_of(LockHolder(pid=os.getpid(), host="here")) == os.getpid()


def test_a_run_that_was_put_first_waits_before_the_others(runs):
    lead, bart, qlora = runs
    assert control.in_order(runs) == runs
    control.put_first(qlora)
    assert control.in_order(runs) == [qlora, lead, bart]
    control.put_first(bart)
    assert control.in_order(runs) == [bart, qlora, lead]


def test_what_waits_for_nothing_is_not_put_first(runs):
    runs[0].emit(Finished(at=2.0, seconds=1.0))
    with pytest.raises(UsageError, match="does not wait"):
        control.put_first(runs[0])


def test_a_damaged_note_puts_nothing_first(runs):
    (runs[1].folder / control.FIRST).write_text("soon")
    assert control.in_order(runs) == runs
