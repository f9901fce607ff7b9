import signal

import pytest

from support.fake_ray import FakeRay
from yoyak.cluster import lineup
from yoyak.cluster.connection import locked
from yoyak.cluster.lineup import RayCluster
from yoyak.config.project import ResourceLimits
from yoyak.errors import Interrupted, Unavailable
from yoyak.events import Queued, Warned
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


def test_the_width_counts_groups_of_gpus(place):
    ray = FakeRay({"CPU": 8.0, "GPU": 4.0}, {"CPU": 8.0, "GPU": 4.0})
    assert place(ray, processes=2).width == 4
    assert place(FakeRay({"CPU": 8.0})).width == 1
