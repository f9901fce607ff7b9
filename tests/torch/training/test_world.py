"""Two ranks started by torchrun: equal to each other, to a crashed run, and to one process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.world import World  # noqa: E402

SCRIPT = Path(__file__).with_name("two_ranks.py")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each rank notes, and what one process gets."""
    folder = tmp_path_factory.mktemp("ranks")
    single = folder / "single"
    single.mkdir()
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for command in ([*torchrun, str(SCRIPT), str(folder)], [str(SCRIPT), str(single)]):
        done = subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stderr[-3000:]
    paths = folder / "rank-0.json", folder / "rank-1.json", single / "rank-0.json"
    return [json.loads(path.read_text()) for path in paths]


@pytest.mark.parametrize("form", ["bart", "nf4"])
def test_both_ranks_hold_the_same_weights_to_the_bit(form, found):
    one, two, _ = found
    assert one[form] == two[form]


@pytest.mark.parametrize("form", ["bart", "nf4"])
@pytest.mark.parametrize("ending", ["crashed", "stopped"])
def test_two_ranks_resume_to_the_bit(form, ending, found):
    runs = found[0][form]
    assert runs[ending]["bits"] == runs["whole"]["bits"]
    assert runs[ending]["losses"] == runs["whole"]["losses"][-len(runs[ending]["losses"]) :]


@pytest.mark.parametrize("form", ["bart", "nf4"])
def test_two_ranks_have_the_losses_of_one_process(form, found):
    together, _, alone = found
    tolerance = 1e-5 if form == "bart" else 2e-3
    assert together[form]["whole"]["losses"] == pytest.approx(
        alone[form]["whole"]["losses"], rel=tolerance
    )
    assert alone[form]["crashed"]["bits"] == alone[form]["whole"]["bits"]


def test_alone_nothing_is_sent():
    weight = torch.nn.Parameter(torch.ones(2))
    world = World()
    world.add_gradients([weight])
    assert weight.grad is None
    assert world.sum(0.25) == 0.25
    assert world.tell(b"words") == b"words"
    assert world.share_of([1, 2, 3]) == [1, 2, 3]
    assert World(1, 2).share_of([1, 2, 3]) == [2]
