"""What is fed beside a line-up is shown when it fails, and never in the line-up's way."""

import io
import threading
from contextlib import contextmanager

import msgspec
import pytest

from yoyak import messages
from yoyak.config import load
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.errors import UsageError
from yoyak.events import Finished, Queued, Warned
from yoyak.export.git_backup import Backup
from yoyak.messages import fill
from yoyak.runs.settings import Backups, Mirrors, Project
from yoyak.runs.workspace import Workspace
from yoyak.scheduler import provenance
from yoyak.trackers import live as beside
from yoyak.trackers import trackers
from yoyak.trackers.live import Beside

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


class Tracker:
    """A tracker whose opening and telling the test decides."""

    def __init__(self):
        self.opening = self.telling = lambda: None
        self.told = []
        self.heard = threading.Semaphore(0)

    @contextmanager
    def __call__(self, folder):
        self.opening()
        yield self.run

    @contextmanager
    def run(self, target):
        def tell(points):
            self.telling()
            self.told += [(target.run.name, point.number) for point in points]
            self.heard.release()

        yield tell


@pytest.fixture
def tracker(monkeypatch):
    made = Tracker()
    monkeypatch.setitem(trackers.MIRRORS, "wandb", made)
    return made


def workspace_of(run):
    return Workspace(run.folder.parents[1])


def shown_by(fed, run, count):
    """Every warning that is shown while the thread ends and three more events come."""
    shown = []
    hear = fed.listening(lambda _, event: shown.append(event))
    hear(run, NEWS)
    for one in (*fed._trackers, *fed._backups):
        one._thread.join(SOON if count else 0)
    for _ in range(3):
        hear(run, NEWS)
    return [fill(one.key, one.fields) for one in shown if isinstance(one, Warned)]


def test_points_arrive_while_the_line_up_works_and_once_each(run, make, tracker):
    said = io.StringIO()
    events = make.training(24, 17)
    with Beside(workspace_of(run), MIRRORED, said) as fed:
        hear = fed.listening(lambda *_: None)
        for event in events[:10]:
            run.emit(event)
        hear(run, events[9])
        assert tracker.heard.acquire(timeout=SOON), "told before the line-up is over"
        for event in events[10:]:
            run.emit(event)
            hear(run, event)
    numbers = [number for _, number in tracker.told]
    assert numbers == list(range(18)), "17 steps, 1 evaluation"
    assert said.getvalue() == ""
    assert trackers.mirror(workspace_of(run), "wandb") == {run.name: 0}, "and not told again"


def test_more_events_than_the_queue_holds_lose_no_point(run, make, tracker, monkeypatch):
    monkeypatch.setattr(beside, "QUEUE_RUNS", 1)
    free = threading.Event()
    tracker.opening = lambda: free.wait(SOON)
    with Beside(workspace_of(run), MIRRORED, io.StringIO()) as fed:
        hear = fed.listening(lambda *_: None)
        for event in make.training(24, 17):
            run.emit(event)
            hear(run, event)  # returns at once, while the tracker does not even open
        assert tracker.told == []
        free.set()
    assert [number for _, number in tracker.told] == list(range(18))


def test_a_tracker_that_dies_is_shown_once_and_the_log_knows_nothing(run, tracker):
    def dies():
        raise OSError("no route to the tracker, token=hf_" + "a1B2c3D4" * 4)

    tracker.opening = dies
    before = run.log_path.read_bytes()
    said = io.StringIO()
    with messages.speaking("en"), Beside(workspace_of(run), MIRRORED, said) as fed:
        told = shown_by(fed, run, 1)
    assert len(told) == 1
    assert "no route to the tracker" in told[0]
    assert "a1B2c3D4" not in told[0]
    assert "yoyak report --mirror wandb" in told[0]
    assert said.getvalue() == ""
    assert run.log_path.read_bytes() == before


def test_a_tracker_that_hangs_is_left_behind_and_told_again_later(run, make, tracker, monkeypatch):
    monkeypatch.setattr(beside, "GRACE_SECONDS", 0.5)
    free = threading.Event()
    tracker.telling = lambda: free.wait(SOON)
    for event in make.training(24, 17):
        run.emit(event)
    said = io.StringIO()
    with messages.speaking("en"), Beside(workspace_of(run), MIRRORED, said) as fed:
        assert shown_by(fed, run, 0) == []
    assert "wandb ended" in said.getvalue()
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

    monkeypatch.setattr(beside, "backup", backup)
    said = io.StringIO()
    with Beside(workspace_of(run), BACKED_UP, said) as fed:
        hear = fed.listening(lambda *_: None)
        hear(run, DONE)
        assert began.wait(SOON)
        for _ in range(3):
            hear(run, DONE)
        free.set()
    assert 2 <= len(count) <= 3, "those that came meanwhile share one, and one at the end"
    assert len(said.getvalue().splitlines()) == 1


def test_a_backup_that_fails_is_shown_once_with_its_reason(run, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    said = io.StringIO()
    with messages.speaking("en"), Beside(workspace_of(run), BACKED_UP, said) as fed:
        shown = []
        hear = fed.listening(lambda _, event: shown.append(event))
        hear(run, DONE)
    told = [fill(one.key, one.fields) for one in shown if isinstance(one, Warned)]
    told += said.getvalue().splitlines()
    assert len(told) == 1
    assert "git init" in told[0]
    assert "Training goes on" in told[0]


def test_what_is_not_switched_on_does_not_start(run):
    said = io.StringIO()
    before = threading.active_count()
    with Beside(workspace_of(run), Project(), said) as fed:
        fed.listening(lambda *_: None)(run, DONE)
        assert threading.active_count() == before
    assert said.getvalue() == ""


def test_an_unknown_tracker_is_refused_before_anything_burns(run):
    with pytest.raises(UsageError, match="tensorboard"):
        Beside(workspace_of(run), Project(mirror=Mirrors(trackers=("mlflow",))), io.StringIO())
