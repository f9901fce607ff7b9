"""A line-up and a batch on a cluster of two nodes, one of which is lost in the middle."""

import signal
import sys
import time
from pathlib import Path

import pytest

from support.outcomes import outcomes
from yoyak.data import sample
from yoyak.events import RunStatus, Started, Warned
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


def line_up(cluster, folder: Path, *words):
    folder.mkdir(exist_ok=True)
    for seed, name in enumerate(RECIPES):
        (folder / name).write_text(TOY.format(seed=seed), encoding="utf-8")
    data = ("--data", sample.folder())
    return yoyak(cluster, folder, "run", *RECIPES, *data, *words)


def wait_for(condition, lineup, folder: Path):
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and lineup.poll() is None:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    pytest.fail((folder / "talk.txt").read_text("utf-8"))


@pytest.mark.timeout(4 * SECONDS)
def test_a_node_lost_in_the_middle_changes_nothing(two_nodes, tmp_path_factory):
    """The same cluster serves both halves: starting one takes longer than a toy."""
    single, folder = (tmp_path_factory.mktemp(name) for name in ("single", "cluster"))
    wait(line_up(two_nodes, single), single / "talk.txt")
    lineup = line_up(two_nodes, folder, "--ray", two_nodes.address)

    def on_second_node():
        for run in Workspace(folder / "workspace").runs():
            state, holder = run.state(), run.holder()
            is_training = state.status is RunStatus.RUNNING and 3 <= state.step < 28
            if holder and is_training and two_nodes.node_of(holder.pid) == NODES[1]:
                return run
        return None

    lost = wait_for(on_second_node, lineup, folder)
    two_nodes.lose(NODES[1])
    wait(lineup, folder / "talk.txt")
    assert outcomes(folder / "workspace") == outcomes(single / "workspace")
    again = [event for event in lost.events() if isinstance(event, Warned)]
    assert signal.SIGKILL.name in [event.fields.get("found") for event in again]
    assert sum(isinstance(event, Started) for event in lost.events()) == 2
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
