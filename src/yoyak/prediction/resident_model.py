"""A loaded model that summarises the dialogues of many callers, in batches of whoever waits.

One thread owns the model. While it generates a batch, further dialogues wait in a queue of limited
length; the next batch takes them together. Answers are handed out row by row, as they finish.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from itertools import count
from types import TracebackType
from typing import NamedTuple, Self

import msgspec

from yoyak import engine as engines
from yoyak import messages
from yoyak.config.schema import Decode
from yoyak.data.corpus import parse_turns
from yoyak.engine import Emit, Engine, GenerateJob, GenerationStopped
from yoyak.errors import Interrupted, RunFailed, YoyakError
from yoyak.metrics.diagnostics.error_types import ErrorType, SummaryItem, rows_with
from yoyak.prediction.model import TrainedModel
from yoyak.prediction.predict import FLAGS
from yoyak.values import Dialogue, Prediction, Value

WARM_UP = Dialogue(id="warm-up", turns=parse_turns("#Person1#: 안녕하세요.\n#Person2#: 네."))


class Limits(NamedTuple):
    """How much may wait, and how much is generated at once, both in dialogues."""

    waiting: int = 256
    batch: int = 32


DEFAULT_LIMITS = Limits()


class QueueFull(Exception):
    """Raised by ``ResidentModel.submit`` while ``Limits.waiting`` dialogues wait already."""


class Summary(Value, frozen=True, kw_only=True):
    """The answer to one dialogue, and how long it took."""

    prediction: Prediction
    flags: tuple[ErrorType, ...]
    """Faults that can be told without a reference, as in the output of ``yoyak predict``."""
    waited_seconds: float
    """From the request until its batch began."""
    seconds: float
    """From then on until the answer was there."""


class Ticket:
    """A dialogue that waits for its summary.

    Attributes:
        result: gives the ``Summary``, or raises what went wrong. Cancelling it takes the dialogue
            out of the queue; a batch of which every dialogue is cancelled is ended.
    """

    def __init__(
        self, dialogue: Dialogue, on_text: Callable[[str], None] | None, decode: Decode
    ) -> None:
        self.dialogue = dialogue
        self.on_text = on_text
        self.decode = decode
        self.result: Future[Summary] = Future()
        self.asked = time.monotonic()

    def answer(self, summary: Summary) -> None:
        """Give the summary, unless the caller has cancelled meanwhile."""
        try:
            self.result.set_result(summary)
        except InvalidStateError:
            return  # cancelled between two looks

    def refuse(self, error: YoyakError) -> None:
        """Give the error, unless the caller has cancelled meanwhile."""
        try:
            self.result.set_exception(error)
        except InvalidStateError:
            return


class Load(NamedTuple):
    """Dialogues that wait and that are being summarised."""

    waiting: int
    running: int


class ResidentModel:
    """Summarise dialogues with a model that stays loaded; a context manager.

    Args:
        model: the trained run.
        limits: of queue and batch.
        emit: receives the engine's events, such as warnings.
    """

    def __init__(
        self,
        model: TrainedModel,
        limits: Limits = DEFAULT_LIMITS,
        emit: Emit = lambda _: None,
    ) -> None:
        self.model = model
        self._limits = limits
        self._emit = emit
        self._language = messages.language()
        self._waiting: deque[Ticket] = deque()
        self._running = 0
        self._changed = threading.Condition()
        self._closing = False
        self._numbers = count(1)
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Load the model and summarise one dialogue, so that the first caller waits for nothing.

        Raises:
            YoyakError: a library, the weights or the base model is missing, or it cannot answer.
        """
        engine = engines.load(self.model.recipe.engine)
        warm_up = Ticket(WARM_UP, None, self.model.recipe.decode)
        self._generate(engine, [warm_up])
        warm_up.result.result()
        self._thread = threading.Thread(
            target=self._work, args=(engine,), name=f"model {self.model.name}", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take no more dialogues, answer those that wait, and end."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    @property
    def load(self) -> Load:
        """How busy the model is."""
        with self._changed:
            waiting = sum(not ticket.result.cancelled() for ticket in self._waiting)
            return Load(waiting, self._running)

    def submit(
        self,
        dialogue: Dialogue,
        on_text: Callable[[str], None] | None = None,
        decode: Decode | None = None,
    ) -> Ticket:
        """Queue a dialogue.

        Args:
            dialogue: its id need not be unique.
            on_text: called from the model's thread with the summary as far as it is written, each
                time longer, where the engine and the decoding can tell.
            decode: another decoding than the recipe's.

        Raises:
            QueueFull: too many dialogues wait.
            Interrupted: the model is being closed.
        """
        ticket = Ticket(dialogue, on_text, decode or self.model.recipe.decode)
        with self._changed:
            if self._closing:
                raise Interrupted("serving.closing")
            if len(self._waiting) >= self._limits.waiting:
                self._drop_cancelled()
            if len(self._waiting) >= self._limits.waiting:
                raise QueueFull
            self._waiting.append(ticket)
            self._changed.notify_all()
        return ticket

    def _drop_cancelled(self) -> None:
        left = [ticket for ticket in self._waiting if not ticket.result.cancelled()]
        self._waiting = deque(left)

    def _work(self, engine: Engine) -> None:
        with messages.speaking(self._language):
            while batch := self._next_batch():
                self._generate(engine, batch)
                with self._changed:
                    self._running = 0

    def _next_batch(self) -> list[Ticket]:
        """Return dialogues that wait for one decoding, at most a batch; none when closing."""
        with self._changed:
            while True:
                self._drop_cancelled()
                if self._waiting or self._closing:
                    break
                self._changed.wait()
            alike = [one for one in self._waiting if one.decode == self._waiting[0].decode]
            batch = alike[: self._limits.batch]
            taken = set(batch)
            self._waiting = deque(one for one in self._waiting if one not in taken)
            self._running = len(batch)
            return batch

    def _generate(self, engine: Engine, batch: Sequence[Ticket]) -> None:
        """Answer every ticket of the batch; where it fails as a whole, each one alone."""
        began = time.monotonic()
        left = {str(next(self._numbers)): ticket for ticket in batch}
        try:
            for prediction in engine.generate(self._job(left, batch[0].decode)):
                ticket = left.pop(prediction.id)
                ticket.answer(_summary(ticket, prediction, began))
            failure: YoyakError = RunFailed("serving.no-summary", run=self.model.name)
        except GenerationStopped:
            return  # every caller has gone
        except YoyakError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 -- the callers get it, and the thread lives on
            failure = RunFailed("serving.failed", run=self.model.name, reason=error)
        for ticket in left.values():
            if len(batch) == 1:
                ticket.refuse(failure)
            elif not ticket.result.cancelled():
                self._generate(engine, [ticket])

    def _job(self, left: Mapping[str, Ticket], decode: Decode) -> GenerateJob:
        """Return the job of the tickets; their dialogues are known by number, as ids may repeat."""

        def on_text(number: str, text: str) -> None:
            ticket = left.get(number)
            if ticket is not None and ticket.on_text is not None:
                ticket.on_text(text)

        recipe = self.model.recipe
        return GenerateJob(
            recipe=recipe,
            decode=decode,
            dialogues=[
                msgspec.structs.replace(ticket.dialogue, id=number)
                for number, ticket in left.items()
            ],
            train=self.model.train,
            folder=self.model.folder,
            emit=self._emit,
            stop_asked=lambda: all(ticket.result.cancelled() for ticket in left.values()),
            smoke_check=False,
            keep_rows=False,
            on_text=on_text,
        )


def _summary(ticket: Ticket, prediction: Prediction, began: float) -> Summary:
    """Return the caller's summary, with the id of its dialogue and the faults that it shows."""
    item = SummaryItem(prediction.text, ticket.dialogue.text)
    flagged = rows_with({prediction.id: item}, FLAGS)
    return Summary(
        prediction=msgspec.structs.replace(prediction, id=ticket.dialogue.id),
        flags=tuple(kind for kind in FLAGS if flagged.get(kind)),
        waited_seconds=began - ticket.asked,
        seconds=time.monotonic() - began,
    )
