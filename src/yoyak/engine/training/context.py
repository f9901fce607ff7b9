"""All that one training run works with, and how it says that something deserves attention."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from yoyak.events import Warned

if TYPE_CHECKING:
    from yoyak.engine import TrainJob
    from yoyak.engine.models.collate import RowShape
    from yoyak.engine.tokenization.encode import EncodedRow
    from yoyak.engine.training.checkpoint import Checkpoints
    from yoyak.engine.training.evaluation import EvalMetrics
    from yoyak.engine.training.model_optimizer import ModelOptimizer
    from yoyak.engine.training.schedule import TrainSchedule

Judges = Callable[[Callable[[], bool]], "EvalMetrics | None"]
"""How good the model is right now; ``None`` where the argument said to stop meanwhile."""


class TrainContext(NamedTuple):
    """One training run: what is asked, what learns, from which rows, when, and where it is kept.

    ``shapes`` are those of ``rows``; ``judge`` is ``None`` where nothing is judged meanwhile.
    """

    job: "TrainJob"
    optimizer: "ModelOptimizer"
    rows: "Sequence[EncodedRow]"
    shapes: "Sequence[RowShape]"
    schedule: "TrainSchedule"
    checkpoints: "Checkpoints"
    judge: Judges | None

    def warn(self, key: str, **fields: object) -> None:
        """Tells a catalogue sentence as an event."""
        told = {name: str(value) for name, value in fields.items()}
        self.job.emit(Warned(at=time.time(), key=key, fields=told))

    def restore(self, step: int) -> None:
        """Takes over weights and moments as they were saved after ``step`` steps."""
        device = self.optimizer.bundle.device
        self.optimizer.load(self.checkpoints.tensors(step, device))
        self.optimizer.load_moments(self.checkpoints.moments(step, device))
