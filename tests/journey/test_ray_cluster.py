"""Runs, shards and studies on a cluster of two nodes, one of which is lost in the middle."""

import signal
import sys
import time
from pathlib import Path

import pytest

from support.outcomes import outcomes, study_outcome
from yoyak.data import sample
from yoyak.events import RunStatus, Started, Warned
from yoyak.runs.run import Run
from yoyak.runs.study import read_studies
from yoyak.runs.workspace import Workspace

pytestmark = [pytest.mark.torch, pytest.mark.slow]
pytest.importorskip("ray", reason="ray is not installed (CONTRIBUTING.md)")

NODES = ("10.9.0.1", "10.9.0.2")
SECONDS = 1500

TOY = """extends = "tiny-bart"
[train]
seed = {seed}
max_steps = 30
save_every_steps = 2
[evaluate]
every_epochs = "none"
[decode]
max_new_tokens = 8
"""
RECIPES = ("one.toml", "two.toml", "three.toml")


@pytest.fixture(scope="module")
def two_nodes(cluster):
    cluster.address = cluster.start(NODES)
    return cluster


def wait(process, talk: Path) -> None:
    assert process.wait(SECONDS) == 0, talk.read_text("utf-8")


def yoyak(cluster, folder: Path, *words):
    """Start a command of yoyak in a folder, inside the namespace."""
    with (folder / "talk.txt").open("ab") as talk:
        return cluster.command(
            sys.executable, "-m", "yoyak", *words, cwd=folder, stdout=talk, stderr=talk
        )


def with_toys(cluster, folder: Path, *words):
    """Start a command on the sample in a folder that has the recipes."""
    for seed, name in enumerate(RECIPES):
        (folder / name).write_text(TOY.format(seed=seed), encoding="utf-8")
    return yoyak(cluster, folder, *words, "--data", sample.folder())


def wait_for(condition, command, folder: Path):
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and command.poll() is None:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    pytest.fail((folder / "talk.txt").read_text("utf-8"))


def lose_second_node(cluster, command, folder: Path) -> Run:
    """Lose the second node while a run is trained there, wait for the end, and return the run."""

    def on_second_node():
        for run in Workspace(folder / "workspace").runs():
            state, holder = run.state(), run.holder()
            is_training = state.status is RunStatus.RUNNING and 3 <= state.step < 28
            if holder and is_training and cluster.node_of(holder.pid) == NODES[1]:
                return run
        return None

    lost = wait_for(on_second_node, command, folder)
    cluster.lose(NODES[1])
    wait(command, folder / "talk.txt")
    again = [event for event in lost.events() if isinstance(event, Warned)]
    assert signal.SIGKILL.name in [event.fields.get("found") for event in again]
    assert sum(isinstance(event, Started) for event in lost.events()) == 2
    return lost


@pytest.mark.timeout(4 * SECONDS)
def test_a_node_lost_in_the_middle_changes_nothing(two_nodes, tmp_path_factory):
    """The same cluster serves both halves: starting one takes longer than a toy."""
    single, folder = (tmp_path_factory.mktemp(name) for name in ("single", "cluster"))
    wait(with_toys(two_nodes, single, "run", *RECIPES), single / "talk.txt")
    lineup = with_toys(two_nodes, folder, "run", *RECIPES, "--ray", two_nodes.address)
    lose_second_node(two_nodes, lineup, folder)
    assert outcomes(folder / "workspace") == outcomes(single / "workspace")
    _predict(two_nodes, single, folder)


def _predict(cluster, single: Path, folder: Path) -> None:
    """Summarise a file with a run of each workspace, a node being lost in the middle again."""
    cluster.start_node(NODES[1])
    source = sample.folder() / "train.csv"
    names = [run.name for run in Workspace(folder / "workspace").runs()]
    words = ("predict", source, "--to", "out", "--run", names[0], "--shard-rows", 10)
    wait(yoyak(cluster, folder, *words), folder / "talk.txt")
    (folder / "out").rename(folder / "expected")
    batch = yoyak(cluster, folder, *words, "--ray", cluster.address)
    shards = folder / "out" / "shards"
    wait_for(lambda: len([*shards.glob("0*")]) >= 2, batch, folder)
    cluster.lose(NODES[1])
    wait(batch, folder / "talk.txt")
    made, expected = (folder / name / "predictions.csv" for name in ("out", "expected"))
    assert made.read_bytes() == expected.read_bytes()


STUDIES = {
    "train-one": ("tune", "train", RECIPES[0], "--trials", 3, "--seeds", 1),
    "screen-bases": ("screen", *RECIPES, "--steps", 30),
}


@pytest.mark.timeout(4 * SECONDS)
@pytest.mark.parametrize("study", STUDIES)  # quicker: a study of doubles in cluster/test_lineup.py
def test_a_node_lost_in_the_middle_of_a_study_changes_nothing(study, two_nodes, tmp_path_factory):
    if NODES[1] not in two_nodes.nodes:
        two_nodes.start_node(NODES[1])
    single, folder = (tmp_path_factory.mktemp(name) for name in ("single", "cluster"))
    wait(with_toys(two_nodes, single, *STUDIES[study]), single / "talk.txt")
    command = with_toys(two_nodes, folder, *STUDIES[study], "--ray", two_nodes.address)
    lost = lose_second_node(two_nodes, command, folder)
    [(expected, _)], [(found, _)] = (
        read_studies(Workspace(each / "workspace").studies_folder)[0] for each in (single, folder)
    )
    assert study_outcome(found) == study_outcome(expected)
    assert outcomes(folder / "workspace") == outcomes(single / "workspace")
    assert lost.name in found.runs
    assert (expected.width, found.width) == (1, len(NODES))
