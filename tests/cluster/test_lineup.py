import contextlib
import signal

import pytest

from support.fake_ray import FakeRay
from support.outcomes import study_outcome
from support.studies import RATED
from yoyak.cluster import lineup
from yoyak.cluster.connection import locked
from yoyak.cluster.lineup import RayCluster
from yoyak.config import load
from yoyak.config.project import Project, ResourceLimits
from yoyak.data.dev_halves import halves
from yoyak.errors import Interrupted, Unavailable
from yoyak.events import Evaluated, Queued, RunStatus, Warned
from yoyak.experiments.begin_study import StudyBudget
from yoyak.experiments.study_loop import StudyContext
from yoyak.experiments.train_study import new_study, run_study
from yoyak.experiments.trial_runs import TrialRunner
from yoyak.runs.study import TrialState
from yoyak.runs.workspace import Workspace
from yoyak.scheduler import scheduler
from yoyak.scheduler.scheduler import RunResult, Scheduler

pytestmark = pytest.mark.process  # the provenance of a run asks git

LIMITS = ResourceLimits(disk_free_gb=0.0, ram_free_gb=0.0)


class Process:
    """A worker process whose attempts end with the codes of ``ends``."""

    ends: list[int | None]
    stops: list[int]

    def __init__(self, run, data_folder, processes):
        self.run = run

    def poll(self):
        return self.ends.pop(0)

    def request_stop(self, requests):
        self.stops.append(requests)

    def check(self):
        pass

    def end(self):
        pass


@pytest.fixture
def processes(monkeypatch):
    kind = type("Kind", (Process,), {"ends": [], "stops": []})
    monkeypatch.setattr(lineup, "WorkerProcess", kind)
    return kind


@pytest.fixture
def place(tmp_path):
    with locked(tmp_path) as probe:
        yield lambda ray, **how: RayCluster(ray, probe, LIMITS, **how)


def test_a_run_whose_node_is_lost_is_placed_again(runs_of, corpus, place, processes):
    ray = FakeRay({"CPU": 2.0})
    (run,) = runs_of("Steady")
    processes.ends = [None, 0]
    lost = []

    def lose_first_actor(_run, event):
        if not lost and isinstance(event, Queued):
            lost.append(event)

    placement = place(ray)
    start = placement.start

    def start_and_lose(*given):
        worker = start(*given)
        if len(ray.actors) == 1:
            ray.actors[0].lost = ray.exceptions.RayActorError("the node died")
        return worker

    placement.start = start_and_lose
    [outcome] = Scheduler(corpus, lose_first_actor, LIMITS, placement).run_all([run])
    assert outcome.result is RunResult.FINISHED
    assert len(ray.actors) == 2
    [again] = [event for event in run.events() if isinstance(event, Warned)]
    assert again.fields["found"] == signal.SIGKILL.name


def test_a_lost_run_is_not_placed_again_while_its_lock_is_held(runs_of, place, processes):
    ray = FakeRay({"CPU": 2.0})
    (run,) = runs_of("Steady")
    worker = place(ray).start(run, run.folder, [])
    ray.actors[0].lost = ray.exceptions.RayActorError("the node is cut off")
    with run.lock():
        assert [worker.poll() for _ in range(3)] == [None] * 3
    assert worker.poll() == -signal.SIGKILL


def test_an_actor_that_cannot_be_made_says_why(runs_of, place):
    ray = FakeRay({"CPU": 2.0})
    (run,) = runs_of("Steady")
    worker = place(ray).start(run, run.folder, [])
    problem = "error raised in its creation task:\nModuleNotFoundError: No module named 'yoyak'"
    ray.actors[0].lost = ray.exceptions.RayActorError(problem)
    with pytest.raises(Unavailable, match="No module named 'yoyak'"):
        worker.poll()


def test_a_stop_gives_up_what_waits_for_a_node(runs_of, place, processes):
    ray = FakeRay({"CPU": 1.0})
    (run,) = runs_of("Steady")
    ray.waits = True
    worker = place(ray).start(run, run.folder, [])
    worker.request_stop(1)
    assert worker.poll() == Interrupted.exit_code
    assert ray.actors[0].lost is not None


def test_a_stop_reaches_the_process_on_the_node(runs_of, place, processes):
    ray = FakeRay({"CPU": 1.0})
    (run,) = runs_of("Steady")
    processes.ends = [None, None, Interrupted.exit_code]
    worker = place(ray).start(run, run.folder, [])
    assert worker.poll() is None
    worker.request_stop(1)
    assert [worker.poll(), worker.poll()] == [None, Interrupted.exit_code]
    assert processes.stops == [0, 0, 1]


@pytest.mark.parametrize(
    ("nodes", "processes", "expected"),
    [
        ([{"CPU": 8.0, "GPU": 2.0}], 2, {"num_gpus": 2, "num_cpus": 2}),
        ([{"CPU": 8.0}, {"CPU": 2.0}], 1, {"num_gpus": 0, "num_cpus": 1}),
    ],
)
def test_a_run_asks_for_a_gpu_per_process_or_for_its_threads(
    runs_of, place, nodes, processes, expected
):
    ray = FakeRay(*nodes)
    (run,) = runs_of("Steady")
    place(ray, processes=processes).start(run, run.folder, [])
    [options] = ray.options
    assert {name: options[name] for name in expected} == expected


def test_processes_that_no_node_has_gpus_for_are_refused(place):
    with pytest.raises(Unavailable, match="2"):
        place(FakeRay({"CPU": 8.0, "GPU": 2.0}), processes=4)


@pytest.mark.parametrize(
    ("nodes", "processes", "width"),
    [
        ([{"CPU": 8.0, "GPU": 3.0}, {"CPU": 8.0, "GPU": 3.0}], 1, 6),
        # A run is on one node: the third GPUs of both form no pair.
        ([{"CPU": 8.0, "GPU": 3.0}, {"CPU": 8.0, "GPU": 3.0}], 2, 2),
        ([{"CPU": 0.0}, {"CPU": 8.0}, {"CPU": 2.0}], 1, 2),
    ],
)
def test_the_width_counts_what_fits_on_each_node(place, nodes, processes, width):
    assert place(FakeRay(*nodes), processes=processes).width == width


@pytest.fixture
def study_runs(corpus, recipe_of):
    """Carries a study of three trials to its verdict in a workspace, and returns what it was."""

    def carry(workspace, placement, on_event=lambda run, event: None):
        @contextlib.contextmanager
        def watch(_):
            yield on_event

        recipe = load.resolve(recipe_of("Rated", RATED)).recipe
        asked = new_study(recipe, corpus, StudyBudget(3, 1), name="rated")
        runner = TrialRunner(workspace, corpus, Project(), asked, (), watch, placement=placement)
        split = [[one.id for one in half] for half in halves(corpus.dev.dialogues)]
        inner = StudyContext(runner.run, lambda _: None, *split)
        return study_outcome(run_study(asked, recipe, inner))

    return carry


@pytest.mark.usefixtures("forked_workers")
def test_a_study_comes_to_the_same_though_a_node_is_lost_with_every_run(
    study_runs, place, tmp_path, monkeypatch
):
    """Each run's node is lost at the first evaluation; the journey does it on a real cluster."""
    monkeypatch.setattr(scheduler, "POLL_SECONDS", 0.02)
    expected = study_runs(Workspace(tmp_path / "single"), None)
    assert {state for *_, state, _, _ in expected["trials"]} == {
        TrialState.FINISHED, TrialState.PRUNED,
    }  # fmt: skip
    workspace, ray, lost = Workspace(tmp_path / "cluster"), FakeRay({"CPU": 1.0}), set()

    def lose_node(run, event):
        if isinstance(event, Evaluated) and run.name not in lost:
            lost.add(run.name)
            ray.lose(ray.actors[-1])

    assert study_runs(workspace, place(ray), lose_node) == expected
    states = [run.state() for run in workspace.runs()]
    # One that falls behind waits to be stopped, so that it is at work when its node is lost.
    assert {one.attempts for one in states if one.status is RunStatus.STOPPED} == {2}
