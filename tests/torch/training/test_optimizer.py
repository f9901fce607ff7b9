import pytest

from yoyak.config.schema import TrainSettings
from yoyak.errors import RunFailed

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.training.optimizer import build_optimizer, optimizer_state  # noqa: E402


def test_matrices_decay_and_vectors_do_not():
    named = {
        "matrix": torch.nn.Parameter(torch.ones(2, 2)),
        "bias": torch.nn.Parameter(torch.ones(2)),
    }
    adamw = build_optimizer(named, TrainSettings(weight_decay=0.5, learning_rate=0.1))
    for value in named.values():
        value.grad = torch.zeros_like(value)
    adamw.step()
    assert torch.equal(named["matrix"], torch.full((2, 2), 0.95))
    assert torch.equal(named["bias"], torch.ones(2))


def test_moments_are_there_before_the_first_step_and_in_float32():
    named = {"weight": torch.nn.Parameter(torch.ones(3, 3))}
    moments = optimizer_state(build_optimizer(named, TrainSettings()), named)
    assert set(moments) == {"step/weight", "exp_avg/weight", "exp_avg_sq/weight"}
    assert {tensor.dtype for tensor in moments.values()} == {torch.float32}


def test_weights_of_another_model_are_refused_and_nothing_is_copied(context, bits):
    made = context("bart")
    before = bits(made.optimizer)
    tensors = {name: value.detach() + 1 for name, value in made.optimizer.named.items()}
    first = min(tensors)
    tensors[first] = tensors[first][..., :1]
    with pytest.raises(
        RunFailed, match=f"1 tensors of the checkpoint do not fit the model, {first}"
    ):
        made.optimizer.load(tensors)
    assert bits(made.optimizer) == before
