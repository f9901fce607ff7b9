"""All that one training run works with, and how it says that something deserves attention."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from yoyak.engine.world import World
from yoyak.events import Warned

if TYPE_CHECKING:
    from yoyak.engine import TrainJob
    from yoyak.engine.batches import Shape
    from yoyak.engine.checkpoint import Checkpoints
    from yoyak.engine.encode import Encoded
    from yoyak.engine.evaluation import Verdict
    from yoyak.engine.learner import Learner
    from yoyak.engine.timetable import Timetable

Judges = Callable[[Callable[[], bool]], "Verdict | None"]
"""How good the model is right now; ``None`` where the argument said to stop meanwhile."""


class Course(NamedTuple):
    """One training run: what is asked, what learns, from which rows, when, and where it is kept.

    ``shapes`` are those of ``rows``; ``judge`` is ``None`` where nothing is judged meanwhile.
    """

    job: "TrainJob"
    learner: "Learner"
    rows: "Sequence[Encoded]"
    shapes: "Sequence[Shape]"
    timetable: "Timetable"
    checkpoints: "Checkpoints"
    judge: Judges | None
    world: World = World()

    def warn(self, key: str, **fields: object) -> None:
        """Tells a catalogue sentence as an event."""
        told = {name: str(value) for name, value in fields.items()}
        self.job.emit(Warned(at=time.time(), key=key, fields=told))

    def restore(self, step: int) -> None:
        """Takes over weights and moments as they were saved after ``step`` steps."""
        device = self.learner.loaded.device
        self.learner.load(self.checkpoints.tensors(step, device))
        self.learner.load_moments(self.checkpoints.moments(step, device))
