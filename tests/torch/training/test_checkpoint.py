"""Checkpoints are whole or set aside, and resumed only under the conditions they were made in."""

import pytest

from support.training import SETS, Crash, finish, train
from yoyak import events

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.training import checkpoint  # noqa: E402
from yoyak.errors import Interrupted, RunFailed  # noqa: E402
from yoyak.files import atomic  # noqa: E402


def test_another_recipe_is_not_gone_on_with_and_the_difference_is_shown(context):
    sets = ("train.max_steps=3", "train.learning_rate=4e-3")
    train(context("bart", *sets))
    with pytest.raises(RunFailed, match=r"train.learning_rate 0.004 → 0.001"):
        train(context("bart", "train.max_steps=3", "train.learning_rate=1e-3"))
    with pytest.raises(RunFailed, match=r"data \w{12} → \w{12}"):
        train(context("bart", *sets, rows=15))
    # How summaries are decoded has no part in what is learned.
    train(context("bart", *sets, "decode.num_beams=5"))


@pytest.mark.parametrize("harm", ["flip", "cut", "remove", "manifest"])
def test_a_damaged_checkpoint_is_set_aside(harm, context, bits, whole, tmp_path):
    expected = whole("lora")
    stopped = iter([False] * 8 + [True])
    with pytest.raises(Interrupted):
        train(context("lora", *SETS, stop=lambda: next(stopped)))
    newest = max((tmp_path / "run" / "checkpoints").glob("step-*"))
    victim = newest / ("manifest.json" if harm == "manifest" else checkpoint.TENSORS)
    content = bytearray(victim.read_bytes())
    if harm == "remove":
        victim.unlink()
    else:
        content[len(content) // 2] ^= 1
        victim.write_bytes(content[: len(content) // 2] if harm == "cut" else content)
    context.said.clear()
    assert finish(context("lora", *SETS), bits) == expected
    warned = [event for event in context.said if isinstance(event, events.Warned)]
    torn = [event.fields for event in warned if event.key == "engine.torn-checkpoint"]
    assert torn == [{"name": newest.name}]
    assert (newest.parent / f"torn-{newest.name}").is_dir(), "nothing is thrown away"


def test_a_crash_half_way_through_a_deletion_changes_nothing(context, bits, whole, monkeypatch):
    """Old checkpoints go file by file; the second one to go is cut off after its first file."""
    expected = whole("lora")
    remove, left = atomic._remove_tree, [2]

    def cut_off(path):
        left[0] -= 1
        if left[0] > 0:
            return remove(path)
        (path / checkpoint.OPTIMIZER).unlink()
        raise Crash

    monkeypatch.setattr(atomic, "_remove_tree", cut_off)
    with pytest.raises(Crash):
        train(context("lora", *SETS))
    monkeypatch.setattr(atomic, "_remove_tree", remove)
    again = context("lora", *SETS)
    assert finish(again, bits) == expected
    assert again.checkpoints.torn == [], "what was being deleted is nobody's checkpoint"
