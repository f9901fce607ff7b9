"""Two commands start the same run at the same moment: one works, the other says who does."""

import os
import time

import pytest

from yoyak.errors import Interrupted

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

RACES_LONG, RACES_SHORT = 60, 12


def starter(run, at, said):
    """Takes the run at the given moment, holds it a little, and says how that went."""
    while time.monotonic() < at:
        pass
    try:
        with run.lock():
            os.write(said, b"w")
            time.sleep(0.15)
    except Interrupted as error:
        named = f"{os.uname().nodename}" in str(error)
        os.write(said, b"l" if error.exit_code == 75 and named else b"?")


def test_races_have_one_winner_each(long, workspace_run, note):
    races = RACES_LONG if long else RACES_SHORT
    outcomes = []
    for _ in range(races):
        heard, said = os.pipe()
        at = time.monotonic() + 0.01
        pids = []
        for _ in range(2):
            pid = os.fork()
            if pid == 0:
                try:
                    starter(workspace_run, at, said)
                finally:
                    os._exit(0)
            pids.append(pid)
        for pid in pids:
            os.waitpid(pid, 0)
        outcomes.append(bytes(sorted(os.read(heard, 10))))
        os.close(heard)
        os.close(said)
    assert outcomes == [b"lw"] * races
    note("races", {"races": races, "races with one winner": outcomes.count(b"lw")})
