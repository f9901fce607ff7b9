"""When a run does what: its steps, their rows and rates, and where it saves and is judged."""

from collections.abc import Sequence
from functools import lru_cache

from yoyak.config.schema import Recipe
from yoyak.engine.models.collate import RowShape
from yoyak.engine.training.optimizer import learning_rate
from yoyak.engine.training.sampler import epoch_steps


class TrainSchedule:
    """A pure function of the recipe and the rows' shapes.

    Args:
        recipe: says epochs, batch and intervals.
        shapes: of the training rows, in file order.
    """

    def __init__(self, recipe: Recipe, shapes: Sequence[RowShape]) -> None:
        self._train = recipe.train
        self._evaluate = recipe.evaluate
        self._shapes = tuple(shapes)
        self.steps_per_epoch = -(-len(self._shapes) // recipe.train.batch_size)
        whole = self.steps_per_epoch * recipe.train.epochs
        self.steps = min(whole, recipe.train.max_steps or whole)
        self._epoch = lru_cache(maxsize=1)(self._epoch_steps)

    def rows(self, step: int) -> list[int]:
        """The rows of the step that follows ``step`` others, by index."""
        epoch, place = divmod(step, self.steps_per_epoch)
        return self._epoch(epoch)[place]

    def epoch(self, step: int) -> float:
        """Epochs that ``step`` steps make."""
        return step / self.steps_per_epoch

    def learning_rate(self, step: int) -> float:
        """The rate of the step that follows ``step`` others."""
        return learning_rate(step, self.steps, self._train)

    def is_judged_at(self, step: int) -> bool:
        """Dev is judged after ``step`` steps: at the start, every so many epochs, at the end."""
        every = self._evaluate.every_epochs
        if every is None:
            return False
        if step == 0:
            return self._evaluate.at_start
        return step == self.steps or step % (self.steps_per_epoch * every) == 0

    def is_saved_at(self, step: int) -> bool:
        """A checkpoint is due after ``step`` steps.

        The one before the first step costs little and finds a disk that cannot hold it.
        """
        ends_epoch = step % self.steps_per_epoch == 0
        return ends_epoch or step == self.steps or step % self._train.save_every_steps == 0

    def _epoch_steps(self, epoch: int) -> list[list[int]]:
        return epoch_steps(self._shapes, self._train.batch_size, seed=self._train.seed, epoch=epoch)
