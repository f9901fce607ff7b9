"""What one training run works with."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from yoyak.events import Warned

if TYPE_CHECKING:
    from yoyak.engine import TrainJob
    from yoyak.engine.models.collate import RowShape
    from yoyak.engine.tokenization.encode import EncodedRow
    from yoyak.engine.training.checkpoint import Checkpoints, TrainState
    from yoyak.engine.training.data_parallel import MainRank
    from yoyak.engine.training.evaluation import EvalMetrics
    from yoyak.engine.training.optimizer import ModelOptimizer
    from yoyak.engine.training.schedule import TrainSchedule

Evaluate = Callable[[Callable[[], bool]], "EvalMetrics | None"]
"""Evaluates the model as it is; takes ``stop_asked`` and returns ``None`` if that ended it."""


class TrainContext(NamedTuple):
    """Everything a training run needs: job, model and optimizer, rows, schedule, checkpoints.

    ``shapes`` are those of ``rows``; ``evaluator`` is ``None`` where the recipe evaluates nothing
    during training. ``step`` makes a step other than a supervised one, ``watch`` is called after
    every evaluation; both return the new state. ``stage`` is the one that events name. ``ranks``
    are the other processes that compute gradients of supervised steps, if there are any.
    """

    job: "TrainJob"
    optimizer: "ModelOptimizer"
    rows: "Sequence[EncodedRow]"
    shapes: "Sequence[RowShape]"
    schedule: "TrainSchedule"
    checkpoints: "Checkpoints"
    evaluator: Evaluate | None
    step: "Callable[[TrainContext, TrainState], TrainState] | None" = None
    watch: "Callable[[TrainContext, TrainState, EvalMetrics], TrainState] | None" = None
    stage: str = "train"
    ranks: "MainRank | None" = None

    def warn(self, key: str, **fields: object) -> None:
        """Emit a warning: a key of the message catalogue and its placeholders."""
        filled = {name: str(value) for name, value in fields.items()}
        self.job.emit(Warned(at=time.time(), key=key, fields=filled))

    def restore(self, step: int) -> None:
        """Load weights and optimizer state of the checkpoint of ``step``."""
        device = self.optimizer.bundle.device
        self.optimizer.load(self.checkpoints.tensors(step, device))
        self.optimizer.load_optimizer_state(self.checkpoints.optimizer_state(step, device))
