"""Two commands start the same run at the same moment: one works, the other says who does."""

import os

import pytest

from yoyak.errors import Interrupted

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

RACES_LONG, RACES_SHORT = 60, 4


def start(run, gate, release, result):
    """Wait for ``gate`` to close, try to take the run, hold it until ``release`` closes."""
    os.read(gate, 1)
    try:
        with run.lock():
            os.write(result, b"w")
            os.read(release, 1)
    except Interrupted as error:
        named = f"{os.uname().nodename}" in str(error)
        os.write(result, b"l" if error.exit_code == 75 and named else b"?")


def race(run):
    """Let two processes go for the run at once; return the sorted results of both."""
    gate, release, result = os.pipe(), os.pipe(), os.pipe()
    pids = []
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            try:
                os.close(gate[1])
                os.close(release[1])
                start(run, gate[0], release[0], result[1])
            finally:
                os._exit(0)
        pids.append(pid)
    os.close(gate[1])
    os.close(result[1])
    said = os.read(result[0], 1) + os.read(result[0], 1)  # both, before the winner lets go
    os.close(release[1])
    for pid in pids:
        os.waitpid(pid, 0)
    for end in (gate[0], release[0], result[0]):
        os.close(end)
    return bytes(sorted(said))


@pytest.mark.process
def test_races_have_one_winner_each(long, workspace_run, note):
    races = RACES_LONG if long else RACES_SHORT
    outcomes = [race(workspace_run) for _ in range(races)]
    assert outcomes == [b"lw"] * races
    note("races", {"races": races, "races with one winner": outcomes.count(b"lw")})
