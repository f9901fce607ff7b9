"""A disk that fills up under real training: no torn checkpoint, and then on as if nothing was."""

import shutil
import subprocess
from pathlib import Path

import pytest

from yoyak.events import RunStatus
from yoyak.runs.workspace import Workspace

pytestmark = [pytest.mark.torch, pytest.mark.timeout(3600)]

SIZES_LONG = 20
SIZES_SHORT = 1


@pytest.fixture
def small_disk(tmp_path):
    """A real file system whose size can be set while files lie on it."""
    place = tmp_path / "small"
    place.mkdir()

    def mount(*options):
        return subprocess.run(["mount", *options, place], capture_output=True, check=False)

    if mount("-t", "tmpfs", "-o", "size=64m", "tmpfs").returncode:
        pytest.skip("mounting is not allowed here")

    def resize(size_bytes):
        subprocess.run(["mount", "-o", f"remount,size={size_bytes}", place], check=True)

    yield place, resize
    subprocess.run(["umount", place], check=True)


def used_bytes(place):
    return shutil.disk_usage(place).used


# Quicker: files/test_atomic.py writes a folder at every size of the disk, and the test below ends a
# run that finds no room; that its weights are the same afterwards is shown here only.
@pytest.mark.slow
def test_a_disk_that_is_too_small_at_any_size_loses_nothing(
    long, note, small_disk, run_of, whole_of, worker, outcome_of, committed
):
    place, resize = small_disk
    whole = whole_of("bart")
    empty = used_bytes(place)
    whole.copied(place / "whole")
    needed = used_bytes(place) - empty
    shutil.rmtree(place / "whole")

    sizes = SIZES_LONG if long else SIZES_SHORT
    stopped = differing = 0
    for number in range(sizes):
        resize(64 << 20)
        run = run_of("bart", place / f"run-{number}")
        # From room for hardly more than the run's own records to room for nearly everything.
        resize(used_bytes(place) + 65_536 + int(needed * (number + 0.5) / sizes))
        code = worker(run)
        if code:
            stopped += 1
            assert code == 74, (run.folder / "worker.log").read_text()
            assert said_so(run)
        committed(run)  # asserts that none is torn
        resize(64 << 20)
        assert worker(run) == 0
        differing += outcome_of(run) != whole.outcome
        shutil.rmtree(Path(run.folder).parents[1])
    note(
        "full-disk",
        {
            "sizes of the disk": sizes,
            "runs that the disk stopped, each with exit code 74": stopped,
            "runs whose weights, answers or scores differ once there was room": differing,
        },
    )
    assert stopped >= (sizes + 1) // 2
    assert differing == 0


def said_so(run):
    """The log names the disk, unless the log itself found no room; then worker.log does."""
    failed = run.state().failed
    if failed is not None:
        return failed.kind == "runs.disk-full"
    return run.state().status is not RunStatus.FINISHED


def test_a_file_system_without_room_for_one_more_name_loses_nothing(small_disk, run_of, worker):
    """Inodes run out while bytes are left."""
    place, _ = small_disk
    run = run_of("bart", place / "run")
    subprocess.run(["mount", "-o", "remount,nr_inodes=40", place], check=True)
    assert worker(run) == 74
    subprocess.run(["mount", "-o", "remount,nr_inodes=10000", place], check=True)
    assert worker(run) == 0
    assert Workspace(place / "run").runs()[0].state().status is RunStatus.FINISHED
