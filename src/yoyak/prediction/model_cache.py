"""Models that stay loaded after they were asked: the least recently used one makes room.

For pages on which people try one system after another. Where two models do not fit into memory
together, the one that is asked stays. All are freed when nobody has asked for a while, and before a
run starts, because it needs the memory.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import NamedTuple

from yoyak import engine as engines
from yoyak.config.schema import Decode
from yoyak.errors import YoyakError
from yoyak.prediction.model import TrainedModel, trained_model
from yoyak.prediction.resident_model import ResidentModel, Ticket
from yoyak.runs.run import Run
from yoyak.runs.stage_records import weights_fingerprint
from yoyak.values import Dialogue

MOST_MODELS = 2
IDLE_SECONDS = 300.0


class Question(NamedTuple):
    """What a model is asked: a dialogue, another decoding than its own, who gets partial texts."""

    dialogue: Dialogue
    decode: Decode | None = None
    on_text: Callable[[str], None] | None = None


class ModelCache:
    """Loads the models of runs when they are asked; ``clear`` frees them.

    Args:
        most: models that are loaded at the same time.
        idle_seconds: all are freed when nobody has asked for so long.
        load: returns the run's model.
        clock: seconds that never go back.

    Attributes:
        loads: how often loading a model began.
    """

    def __init__(
        self,
        most: int = MOST_MODELS,
        idle_seconds: float = IDLE_SECONDS,
        load: Callable[[Run], TrainedModel] = trained_model,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._idle_seconds = idle_seconds
        self._load = load
        self._clock = clock
        self._alone = threading.RLock()
        self._models: OrderedDict[Hashable, ResidentModel] = OrderedDict()
        self._timer: threading.Timer | None = None
        self._asked_at = clock()
        self.loads = 0

    def ask(self, run: Run, question: Question) -> Ticket:
        """Queue a dialogue for a run's model, which is loaded first where it is not yet.

        Raises:
            YoyakError: a library, the weights or the base model is missing, or it cannot answer.
            QueueFull: too many dialogues wait.
        """
        with self._alone:
            self._asked_at = self._clock()
            model = self._model(run)
            self._wait_for_idleness()
            return model.submit(question.dialogue, question.on_text, question.decode)

    def loaded(self) -> tuple[str, ...]:
        """Return the runs whose models are loaded, the one that was asked last at the end."""
        with self._alone:
            return tuple(model.model.name for model in self._models.values())

    def clear(self) -> None:
        """Free all models; what waits for them is answered first."""
        with self._alone:
            self._drop_all()
            if self._timer is not None:
                self._timer.cancel()

    def _model(self, run: Run) -> ResidentModel:
        # New weights are another model.
        key = (run.name, weights_fingerprint(run.engine_folder))
        if key in self._models:
            self._models.move_to_end(key)
            return self._models[key]
        while len(self._models) >= self._most:
            self._drop_oldest()
        model = self._entered_if_it_fits(run)
        if model is None:  # the failed attempt is forgotten, and its memory with it
            self._drop_all()
            model = self._entered(run)
        self._models[key] = model
        return model

    def _entered_if_it_fits(self, run: Run) -> ResidentModel | None:
        try:
            return self._entered(run)
        except YoyakError as error:
            if not self._models or "out of memory" not in str(error).lower():
                raise
            return None

    def _entered(self, run: Run) -> ResidentModel:
        self.loads += 1
        return ResidentModel(self._load(run)).__enter__()

    def _drop_all(self) -> None:
        while self._models:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, model = self._models.popitem(last=False)
        model.__exit__(None, None, None)
        del model
        engines.release_memory()

    def _wait_for_idleness(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = threading.Timer(self._idle_seconds, self.clear_if_idle)
        self._timer.daemon = True
        self._timer.start()

    def clear_if_idle(self) -> None:
        """Free all models if nobody has asked for ``idle_seconds``."""
        with self._alone:
            if self._clock() - self._asked_at >= self._idle_seconds:
                self.clear()
