import pytest

from support.fake_ray import FakeRay
from yoyak.cluster.shards import LOSSES, ray_pools
from yoyak.errors import RunFailed, Unavailable
from yoyak.prediction.predict import predict


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def predicted(request_for, dialogue_file, tmp_path):
    """What one process writes for ten rows in four shards."""
    predict(request_for(dialogue_file(10), tmp_path / "one"))
    return (tmp_path / "one" / "predictions.csv").read_bytes()


def test_shards_that_are_finished_in_another_order_are_joined_in_theirs(
    request_for, dialogue_file, predicted, tmp_path
):
    ray = FakeRay({"CPU": 2.0}, {"CPU": 1.0})
    request = request_for(dialogue_file(10))
    seen = []
    summary = predict(request, on_progress=seen.append, pools=ray_pools(ray, request.model))
    assert (tmp_path / "out" / "predictions.csv").read_bytes() == predicted
    assert len(ray.actors) == 3
    assert (summary.rows, summary.new_rows) == (10, 10)
    assert [each.rows for each in seen] == sorted(each.rows for each in seen)
    assert seen[-1].rows == 10


def test_no_actor_is_started_that_fits_no_node(request_for, dialogue_file, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    ray = FakeRay({"CPU": 3.0}, {"CPU": 3.0})
    request = request_for(dialogue_file(10))
    predict(request, pools=ray_pools(ray, request.model))
    assert [each["num_cpus"] for each in ray.options] == [2]
    assert len(ray.actors) == 2


def test_a_part_whose_node_is_lost_is_made_by_another(
    request_for, dialogue_file, predicted, tmp_path
):
    ray = FakeRay({"CPU": 1.0})
    request = request_for(dialogue_file(10))

    def lose(_progress):
        if len(ray.actors) < 3:
            ray.actors[-1].lost = ray.exceptions.RayActorError("the node died")

    predict(request, on_progress=lose, pools=ray_pools(ray, request.model))
    assert len(ray.actors) == 3
    assert (tmp_path / "out" / "predictions.csv").read_bytes() == predicted


def test_a_part_of_a_lost_node_is_made_where_its_successor_finds_no_place(
    request_for, dialogue_file, predicted, tmp_path
):
    ray = FakeRay({"CPU": 2.0}, places=2)
    request = request_for(dialogue_file(10))

    def lose(_progress):
        ray._places = 1
        ray.actors[1].lost = ray.exceptions.RayActorError("the node died")

    predict(request, on_progress=lose, pools=ray_pools(ray, request.model))
    assert (tmp_path / "out" / "predictions.csv").read_bytes() == predicted


def test_shards_of_one_process_are_gone_on_with_by_a_cluster(
    request_for, dialogue_file, predicted, tmp_path
):
    request = request_for(dialogue_file(10))
    broken = dialogue_file(10, "broken.csv")
    lines = broken.read_text("utf-8").splitlines()
    broken.write_text("\n".join([*lines[:8], '"row-7",""', ""]), encoding="utf-8")
    with pytest.raises(Exception, match="row"):
        predict(request._replace(source=broken))
    ray = FakeRay({"CPU": 1.0})
    summary = predict(request, pools=ray_pools(ray, request.model))
    assert 0 < summary.new_rows < summary.rows == 10
    assert (tmp_path / "out" / "predictions.csv").read_bytes() == predicted


def test_what_fails_on_a_node_fails_the_command(request_for, dialogue_file, engine_that):
    def refuse(dialogue):
        raise RunFailed("prediction.no-summary", run="r", id=dialogue.id)

    engine_that(refuse)
    request = request_for(dialogue_file(3))
    with pytest.raises(RunFailed, match="gave no summary"):
        predict(request, pools=ray_pools(FakeRay({"CPU": 1.0}), request.model))


def test_a_cluster_that_loses_every_actor_is_given_up(request_for, dialogue_file):
    ray = FakeRay({"CPU": 1.0})
    kill = ray.remote

    def remote(kind):
        made = kill(kind)
        options = made.options

        def lost(**named):
            start = options(**named).remote

            def begin(*given):
                actor = start(*given)
                actor.lost = ray.exceptions.RayActorError("out of memory")
                return actor

            return type("Handle", (), {"remote": staticmethod(begin)})

        made.options = lost
        return made

    ray.remote = remote
    request = request_for(dialogue_file(3))
    with pytest.raises(Unavailable, match="out of memory"):
        predict(request, pools=ray_pools(ray, request.model))
    assert len(ray.actors) == 1 + LOSSES
