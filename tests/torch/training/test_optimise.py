import pytest

from yoyak.config.schema import LrScheduler, TrainSettings

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.training.optimizer import (  # noqa: E402
    build_optimizer,
    optimizer_state,
)
from yoyak.engine.training.schedule import learning_rate  # noqa: E402


@pytest.mark.parametrize("schedule", list(LrScheduler))
@pytest.mark.parametrize("ratio", [0.0, 0.03, 0.5])
@pytest.mark.parametrize("steps", [1, 7, 200])
def test_the_schedules_are_those_of_transformers(schedule, ratio, steps):
    import math

    from transformers import get_scheduler

    settings = TrainSettings(learning_rate=3e-4, lr_scheduler=schedule, warmup_ratio=ratio)
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=3e-4)
    name = "constant_with_warmup" if schedule is LrScheduler.CONSTANT else str(schedule)
    theirs = get_scheduler(name, optimizer, math.ceil(steps * ratio), steps)
    for step in range(steps):
        rate = learning_rate(step, steps, settings)
        assert rate == pytest.approx(theirs.get_last_lr()[0], rel=1e-12, abs=0)
        optimizer.step()
        theirs.step()


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
