from pathlib import Path
from types import SimpleNamespace

import pytest

from support.fake_ray import FakeRay
from yoyak.cluster import connection
from yoyak.cluster.connection import ClusterSize, NodeCheck, answer, locked, size_of
from yoyak.errors import BadData, RunFailed


def test_a_node_that_sees_the_paths_and_meets_the_lock_takes_part(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", "/models")
    with locked(tmp_path) as probe:
        check = NodeCheck.of(probe, tmp_path)
        monkeypatch.delenv("HF_HOME")
        here = Path.cwd()
        monkeypatch.chdir(tmp_path)
        check.require()
        assert Path.cwd() == here
        assert connection.os.environ["HF_HOME"] == "/models"


def test_a_node_of_another_version_is_refused(tmp_path):
    with locked(tmp_path) as probe, pytest.raises(BadData, match=r"0\.0\.7"):
        NodeCheck.of(probe)._replace(yoyak_version="0.0.7").require()


def test_a_node_that_does_not_see_a_path_is_refused(tmp_path):
    with locked(tmp_path) as probe, pytest.raises(BadData, match="runs-of-another-disk"):
        NodeCheck.of(probe, tmp_path / "runs-of-another-disk").require()


def test_a_file_system_whose_locks_do_not_hold_between_machines_is_refused(tmp_path):
    with locked(tmp_path) as probe:
        check = NodeCheck.of(probe)
    # What a node sees where the driver's lock does not reach it.
    with pytest.raises(BadData, match="locks"):
        check.require()


def test_an_error_of_yoyak_on_a_node_is_raised_here_as_what_it_is():
    ray = FakeRay()

    def fail():
        raise RunFailed("prediction.no-summary", run="r", id="7")

    actor = ray.remote(lambda: SimpleNamespace(work=fail)).options().remote()
    with pytest.raises(RunFailed, match="7"):
        answer(ray, actor.work.remote())


def test_the_size_is_that_of_the_nodes_that_are_alive():
    ray = FakeRay({"CPU": 4.0, "GPU": 1.0}, {"CPU": 8.0})
    assert size_of(ray) == ClusterSize(cpus=(4, 8), gpus=(1, 0))
