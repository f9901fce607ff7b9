"""A log mirrored to a tracker gives every point once, whoever kills the mirror."""

import os
import signal

import pytest

from support.trackers import append, end, folder_of, resumed, workspace_of
from yoyak.errors import Unavailable, UsageError
from yoyak.trackers import backends
from yoyak.trackers import mirror as mirroring
from yoyak.trackers.mirror import Mirror, follow, mirror

pytestmark = pytest.mark.process


class FakeBackend:
    """A tracker that writes its points to a file in the run's folder."""

    def __enter__(self):
        return FakeBackend.Run

    def __exit__(self, *_):
        pass

    class Run:
        def __init__(self, target):
            target.folder.mkdir()
            self.file = target.folder / "points.txt"

        def __enter__(self):
            return self.log_points

        def __exit__(self, *_):
            pass

        def log_points(self, points):
            with self.file.open("a", encoding="utf-8") as file:
                file.writelines(f"{one.step} {min(one.values)} {one.number}\n" for one in points)


@pytest.fixture
def fake_backend(monkeypatch):
    monkeypatch.setitem(backends.BACKENDS, "memory", lambda _: FakeBackend())


def logged(run):
    return (folder_of(run, "memory") / "points.txt").read_text().splitlines()


def test_every_step_is_sent_once_over_two_attempts_and_three_mirrors(run, make, fake_backend):
    assert mirror(workspace_of(run), "memory") == {run.name: 18}, "17 steps, 1 evaluation"
    assert mirror(workspace_of(run), "memory") == {run.name: 0}
    append(run, resumed(make))
    assert mirror(workspace_of(run), "memory") == {run.name: 26}
    steps = [int(line.split()[0]) for line in logged(run) if "train/" in line]
    assert steps == list(range(1, 25))
    assert sum("dev_part/" in line for line in logged(run)) == 2
    assert [int(line.split()[2]) for line in logged(run)] == list(range(26))


def test_a_mirror_that_stays_sends_only_what_is_new(run, make, fake_backend):
    with Mirror(workspace_of(run), "memory") as follower:
        assert follower.update_all() == {run.name: 18}
        assert follower.update_all() == {run.name: 0}
        append(run, resumed(make))
        with run.log_path.open("ab") as log:
            log.write(b'{"event": "stepp')  # a worker in the middle of a line
        assert follower.update_all() == {run.name: 8}
    assert len(logged(run)) == 26


def test_a_run_that_ends_while_it_is_followed_is_closed_and_not_sent_again(run, make, fake_backend):
    with Mirror(workspace_of(run), "memory") as follower:
        follower.update_all()
        append(run, resumed(make))
        end(run, make)
        assert follower.update_all() == {run.name: 8 + 2}, "one look at the machine and one score"
        assert folder_of(run, "memory").with_suffix(".told").is_file()
        assert follower.update_all() == {run.name: 0}
    assert mirror(workspace_of(run), "memory") == {run.name: 0}


def test_a_mirror_that_is_killed_leaves_no_note_and_the_next_sends_everything(
    run, fake_backend, monkeypatch
):
    def dies(self, points):
        FakeBackend.Run.log_half(self, list(points)[:7])
        raise KeyboardInterrupt

    before = run.log_path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(FakeBackend.Run, "log_half", FakeBackend.Run.log_points, raising=False)
        patch.setattr(FakeBackend.Run, "log_points", dies)
        with pytest.raises(KeyboardInterrupt):
            mirror(workspace_of(run), "memory")
    assert len(logged(run)) == 7
    assert run.log_path.read_bytes() == before
    assert mirror(workspace_of(run), "memory") == {run.name: 18}
    assert len(logged(run)) == 18


def test_unknown_and_missing_trackers_say_what_to_do(run, monkeypatch):
    with pytest.raises(UsageError, match="tensorboard"):
        mirror(workspace_of(run), "mlflow")

    def missing(_):
        raise ModuleNotFoundError

    monkeypatch.setitem(backends.BACKENDS, "wandb", missing)
    with pytest.raises(Unavailable, match=r"pip install 'yoyak\[wandb\]'"):
        mirror(workspace_of(run), "wandb")
    assert not folder_of(run, "wandb").exists()


def test_following_sends_what_comes_until_ctrl_c_and_then_what_is_left(
    run, make, fake_backend, monkeypatch
):
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    sent = FakeBackend.Run.log_points

    def log_points(self, points):
        sent(self, points)
        if len(logged(run)) == 18:
            append(run, resumed(make))
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(FakeBackend.Run, "log_points", log_points)
    monkeypatch.setattr(mirroring, "FOLLOW_SECONDS", 0.001)
    try:
        assert follow(workspace_of(run), "memory") == {run.name: 26}
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert len(logged(run)) == 26
