"""Live trackers and backups never get in the way of the runs; a failure is shown once."""

import io
import threading
from contextlib import contextmanager

import msgspec
import pytest

from yoyak import messages
from yoyak.config import load
from yoyak.config.project import Backups, Mirrors, Project
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.errors import UsageError
from yoyak.events import Finished, Queued, Warned
from yoyak.export.git_backup import Backup
from yoyak.messages import fill
from yoyak.runs.workspace import Workspace
from yoyak.scheduler import provenance
from yoyak.trackers import backends, live
from yoyak.trackers.live import LiveTrackers
from yoyak.trackers.mirror import mirror

pytestmark = pytest.mark.process

BACKED_UP = Project(backup=Backups(after_each_run=True))
MIRRORED = Project(mirror=Mirrors(trackers=("wandb",)))
NEWS = Queued(at=1.0, recipe="lead")
DONE = Finished(at=1.0, seconds=1.0)
SOON = 20.0


@pytest.fixture
def run(tmp_path):
    corpus = read_corpus(sample.folder())
    record = msgspec.json.encode(provenance.gather(corpus))
    run = Workspace(tmp_path / "workspace").find_or_create(
        load.resolve("lead").recipe, corpus, lambda: record
    )
    run.emit(NEWS)
    return run


class FakeBackend:
    """A tracker whose opening and logging the test controls."""

    def __init__(self):
        self.opening = self.logging = lambda: None
        self.logged = []
        self.received = threading.Semaphore(0)

    @contextmanager
    def __call__(self, folder):
        self.opening()
        yield self.run

    @contextmanager
    def run(self, opened):
        def log_points(points):
            self.logging()
            self.logged += [(opened.run.name, point.number) for point in points]
            self.received.release()

        yield log_points


@pytest.fixture
def tracker(monkeypatch):
    made = FakeBackend()
    monkeypatch.setitem(backends.BACKENDS, "wandb", made)
    return made


def workspace_of(run):
    return Workspace(run.folder.parents[1])


def shown_by(fed, run, count):
    """Every warning that is shown while the thread ends and three more events come."""
    shown = []
    on_event = fed.wrap(lambda _, event: shown.append(event))
    on_event(run, NEWS)
    for one in fed.consumers:
        one._thread.join(SOON if count else 0)
    for _ in range(3):
        on_event(run, NEWS)
    return [fill(one.key, one.fields) for one in shown if isinstance(one, Warned)]


def test_points_arrive_while_runs_are_at_work_and_once_each(run, make, tracker):
    said = io.StringIO()
    events = make.training(24, 17)
    with LiveTrackers(workspace_of(run), MIRRORED, said) as fed:
        on_event = fed.wrap(lambda *_: None)
        for event in events[:10]:
            run.emit(event)
        on_event(run, events[9])
        assert tracker.received.acquire(timeout=SOON), "sent before the runs are over"
        for event in events[10:]:
            run.emit(event)
            on_event(run, event)
    numbers = [number for _, number in tracker.logged]
    assert numbers == list(range(18)), "17 steps, 1 evaluation"
    assert said.getvalue() == ""
    assert mirror(workspace_of(run), "wandb") == {run.name: 0}, "and not sent again"


def test_more_events_than_the_queue_holds_lose_no_point(run, make, tracker, monkeypatch):
    monkeypatch.setattr(live, "QUEUE_RUNS", 1)
    free = threading.Event()
    tracker.opening = lambda: free.wait(SOON)
    with LiveTrackers(workspace_of(run), MIRRORED, io.StringIO()) as fed:
        on_event = fed.wrap(lambda *_: None)
        for event in make.training(24, 17):
            run.emit(event)
            on_event(run, event)  # returns at once, while the tracker does not even open
        assert tracker.logged == []
        free.set()
    assert [number for _, number in tracker.logged] == list(range(18))


def test_a_tracker_that_dies_is_shown_once_and_the_log_knows_nothing(run, tracker):
    def dies():
        raise OSError("no route to the tracker, token=hf_" + "a1B2c3D4" * 4)

    tracker.opening = dies
    before = run.log_path.read_bytes()
    said = io.StringIO()
    with messages.speaking("en"), LiveTrackers(workspace_of(run), MIRRORED, said) as fed:
        shown = shown_by(fed, run, 1)
    assert len(shown) == 1
    assert "no route to the tracker" in shown[0]
    assert "a1B2c3D4" not in shown[0]
    assert "yoyak report --mirror wandb" in shown[0]
    assert said.getvalue() == ""
    assert run.log_path.read_bytes() == before


def test_a_tracker_that_hangs_is_abandoned_and_mirrored_again_later(
    run, make, tracker, monkeypatch
):
    monkeypatch.setattr(live, "GRACE_SECONDS", 0.5)
    free = threading.Event()
    tracker.logging = lambda: free.wait(SOON)
    for event in make.training(24, 17):
        run.emit(event)
    said = io.StringIO()
    with messages.speaking("en"), LiveTrackers(workspace_of(run), MIRRORED, said) as fed:
        assert shown_by(fed, run, 0) == []
    assert "wandb no longer follows" in said.getvalue()
    assert not list(workspace_of(run).report_folder.glob("mirrors/wandb/*.told"))
    free.set()
    fed._trackers[0]._thread.join(SOON)


def test_backups_come_one_at_a_time_and_once_more_at_the_end(run, monkeypatch):
    began, free, count = threading.Event(), threading.Event(), []

    def backup(workspace, *, remote):
        began.set()
        free.wait(SOON)
        count.append(remote)
        return Backup("abc", 1, 1, None)

    monkeypatch.setattr(live, "backup", backup)
    said = io.StringIO()
    with LiveTrackers(workspace_of(run), BACKED_UP, said) as fed:
        on_event = fed.wrap(lambda *_: None)
        on_event(run, DONE)
        assert began.wait(SOON)
        for _ in range(3):
            on_event(run, DONE)
        free.set()
    assert 2 <= len(count) <= 3, "those that came meanwhile share one, and one at the end"
    assert len(said.getvalue().splitlines()) == 1


def test_a_backup_that_fails_is_shown_once_with_its_reason(run, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    said = io.StringIO()
    with messages.speaking("en"), LiveTrackers(workspace_of(run), BACKED_UP, said) as fed:
        shown = []
        on_event = fed.wrap(lambda _, event: shown.append(event))
        on_event(run, DONE)
    told = [fill(one.key, one.fields) for one in shown if isinstance(one, Warned)]
    told += said.getvalue().splitlines()
    assert len(told) == 1
    assert "git init" in told[0]
    assert "Training continues" in told[0]


def test_what_is_not_switched_on_does_not_start(run):
    said = io.StringIO()
    before = threading.active_count()
    with LiveTrackers(workspace_of(run), Project(), said) as fed:
        fed.wrap(lambda *_: None)(run, DONE)
        assert threading.active_count() == before
    assert said.getvalue() == ""


def test_an_unknown_tracker_is_refused_before_anything_starts(run):
    with pytest.raises(UsageError, match="tensorboard"):
        LiveTrackers(
            workspace_of(run), Project(mirror=Mirrors(trackers=("mlflow",))), io.StringIO()
        )
