import math

import pytest

from yoyak.config.schema import LrScheduler, TrainSettings

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.models.collate import RowShape  # noqa: E402
from yoyak.engine.training.schedule import TrainSchedule, learning_rate  # noqa: E402


@pytest.mark.parametrize("schedule", list(LrScheduler))
@pytest.mark.parametrize("ratio", [0.0, 0.03, 0.5])
@pytest.mark.parametrize("steps", [1, 7, 200])
def test_learning_rates_equal_those_of_transformers(schedule, ratio, steps):
    from transformers import get_scheduler

    floor = 0.2 if schedule is LrScheduler.COSINE_WITH_MIN_LR else None
    settings = TrainSettings(
        learning_rate=3e-4, lr_scheduler=schedule, warmup_ratio=ratio, min_lr_rate=floor
    )
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=3e-4)
    name = "constant_with_warmup" if schedule is LrScheduler.CONSTANT else str(schedule)
    own = None if floor is None else {"min_lr_rate": floor}
    theirs = get_scheduler(name, optimizer, math.ceil(steps * ratio), steps, own)
    for step in range(steps):
        rate = learning_rate(step, steps, settings)
        assert rate == pytest.approx(theirs.get_last_lr()[0], rel=1e-12, abs=0)
        optimizer.step()
        theirs.step()


def test_evaluates_at_the_start_every_so_many_epochs_and_at_the_end(recipe_of):
    sets = ("train.epochs=5", "train.batch_size=4", "evaluate.every_epochs=2")
    schedule = TrainSchedule(recipe_of("bart", *sets), [RowShape(9, 5)] * 10)
    assert (schedule.steps_per_epoch, schedule.steps) == (3, 15)
    assert [step for step in range(16) if schedule.is_evaluation_step(step)] == [0, 6, 12, 15]
    assert schedule.epoch(6) == 2.0


def test_saves_at_the_start_by_interval_at_each_epoch_and_at_the_end(recipe_of):
    sets = ("train.epochs=2", "train.batch_size=4", "train.save_every_steps=4", "train.max_steps=5")
    schedule = TrainSchedule(recipe_of("bart", *sets), [RowShape(9, 5)] * 10)
    assert [step for step in range(6) if schedule.is_save_step(step)] == [0, 3, 4, 5]
    rows = [row for step in range(3) for row in schedule.rows(step)]
    assert sorted(rows) == list(range(10)), "an epoch has every row once"
