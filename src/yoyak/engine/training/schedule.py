"""Which rows, learning rate, evaluation and checkpoint belong to which step."""

import math
from collections.abc import Sequence
from functools import lru_cache

from yoyak.config.schema import LrScheduler, Recipe, TrainSettings
from yoyak.engine.models.collate import RowShape
from yoyak.engine.training.sampler import epoch_steps


def learning_rate(step: int, steps: int, settings: TrainSettings) -> float:
    """Return the learning rate of the optimizer step that follows ``step`` of ``steps`` others.

    Same values as transformers' schedulers: linear warm-up from 0 over ⌈ratio × steps⌉ steps, then
    half a cosine to 0 or a floor, or a line to 0, or constant.
    """
    warmup = math.ceil(steps * settings.warmup_ratio)
    if step < warmup:
        return settings.learning_rate * step / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    match settings.lr_scheduler:
        case LrScheduler.COSINE:
            share = 0.5 * (1.0 + math.cos(math.pi * progress))
        case LrScheduler.LINEAR:
            share = 1.0 - progress
        case LrScheduler.CONSTANT:
            share = 1.0
        case LrScheduler.COSINE_WITH_MIN_LR:
            floor = settings.min_lr_rate or 0.0
            share = floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * progress))
    return settings.learning_rate * max(0.0, share)


class TrainSchedule:
    """The steps of a run, as a pure function of the recipe and the rows' shapes.

    Args:
        recipe: has epochs, batch size and intervals.
        shapes: of the training rows, in file order.
        evaluate_every_steps: evaluate after so many steps, instead of the recipe's epochs.
    """

    def __init__(
        self,
        recipe: Recipe,
        shapes: Sequence[RowShape],
        evaluate_every_steps: int | None = None,
    ) -> None:
        self._train = recipe.train
        self._evaluate = recipe.evaluate
        self._shapes = tuple(shapes)
        self.steps_per_epoch = -(-len(self._shapes) // recipe.train.batch_size)
        whole = self.steps_per_epoch * recipe.train.epochs
        self.steps = min(whole, recipe.train.max_steps or whole)
        every = recipe.evaluate.every_epochs
        epochs = None if every is None else self.steps_per_epoch * every
        self._evaluate_every = evaluate_every_steps or epochs
        self._epoch = lru_cache(maxsize=1)(self._epoch_steps)

    def rows(self, step: int) -> list[int]:
        """Return the row indices of the step that follows ``step`` others."""
        epoch, index = divmod(step, self.steps_per_epoch)
        return self._epoch(epoch)[index]

    def epoch(self, step: int) -> float:
        """Return the epochs completed after ``step`` steps."""
        return step / self.steps_per_epoch

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of the step that follows ``step`` others."""
        return learning_rate(step, self.steps, self._train)

    def is_evaluation_step(self, step: int) -> bool:
        """Return whether dev is evaluated after ``step`` steps: start, epochs by interval, end."""
        if self._evaluate_every is None:
            return False
        if step == 0:
            return self._evaluate.at_start
        return step == self.steps or step % self._evaluate_every == 0

    def is_save_step(self, step: int) -> bool:
        """Return whether a checkpoint is due after ``step`` steps.

        The one before the first step costs little and finds a disk that cannot hold it; without
        one at each evaluation, the best could not be gone back to.
        """
        ends_epoch = step % self.steps_per_epoch == 0
        at_interval = step % self._train.save_every_steps == 0
        return ends_epoch or at_interval or step == self.steps or self.is_evaluation_step(step)

    def _epoch_steps(self, epoch: int) -> list[list[int]]:
        return epoch_steps(self._shapes, self._train.batch_size, seed=self._train.seed, epoch=epoch)
