"""One run folder: its identity, event log, predictions and scorecards.

::

    runs/<date-recipe-hash>/
        identity.json  recipe.json  provenance.json  events.jsonl  run.lock  worker.log
        first
        checkpoints/step-000390/  weights/  predictions/{dev,test}.jsonl  scores/dev.json

The state is the fold of ``events.jsonl``; the lock tells a live worker from a dead one.
"""

import fcntl
import os
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from yoyak.config.aliases import recorded_settings
from yoyak.config.schema import Recipe
from yoyak.errors import BadData, InputMissing, Interrupted
from yoyak.events import (
    AlignStep,
    AnyEvent,
    PredictionProgress,
    RunState,
    RunStatus,
    SystemMetrics,
    TrainStep,
    decode_event,
    encode_event,
    fold,
)
from yoyak.files import atomic, jsonl
from yoyak.files.format import RUN, DiskFormat, decode_record
from yoyak.metrics.scorecard import Scorecard
from yoyak.runs.event_index import state_events
from yoyak.runs.provenance import Provenance
from yoyak.runs.redact import redact_event
from yoyak.values import Prediction, SplitName, Value

_PREDICTION = msgspec.json.Decoder(Prediction)
_FREQUENT = (TrainStep, AlignStep, SystemMetrics, PredictionProgress)
"""Events that are not fsynced: a power cut loses points of a curve, never a state."""

_T = TypeVar("_T")

LOCK_TRIES = 5
LOCK_PAUSE_SECONDS = 0.02


class RunIdentity(Value, frozen=True, kw_only=True):
    """What identifies a run: the same command finds it again by recipe, hashes and format."""

    sequence: int
    recipe: str
    learning_hash: str
    data_folder: str
    train_sha256: str
    dev_sha256: str
    created_at: float
    format: int = 1


class LockHolder(Value, frozen=True, kw_only=True):
    """The process that holds a run's lock."""

    pid: int
    host: str


class EventLog(NamedTuple):
    """A run's events, and how many lines were skipped.

    ``garbled`` lines cannot be read; ``unknown`` ones are events that only a newer version knows.
    """

    events: list[AnyEvent]
    garbled: int
    unknown: int


class Run:
    """A run folder; its records are read on access."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def engine_folder(self) -> Path:
        """The folder in which the engine keeps ``checkpoints/`` and ``weights/``."""
        return self.folder

    @property
    def supervised_folder(self) -> Path:
        """The engine's folder of supervised training: its own only where another stage follows."""
        if self.recipe.align is None:
            return self.engine_folder
        return self.engine_folder / "supervised"

    @property
    def log_path(self) -> Path:
        """The path of the event log."""
        return self.folder / "events.jsonl"

    @cached_property
    def identity(self) -> RunIdentity:
        """The identity, read once."""
        return _read(self.folder / "identity.json", RunIdentity, RUN)

    @property
    def recipe(self) -> Recipe:
        """The resolved recipe, its settings under their current names."""
        _ = self.identity  # a run of a newer format is refused before its settings are read
        return read_recipe(self.folder)

    @property
    def provenance(self) -> Provenance:
        """The record of where the run comes from."""
        return _read(self.folder / "provenance.json", Provenance)

    def require_current_format(self) -> None:
        """Refuse to compute anything new in a run of an older format.

        Raises:
            BadData: the run is of an older format.
        """
        if self.identity.format < RUN.number:
            raise BadData("runs.older-format", run=self.name, recipe=self.identity.recipe)

    def write_recipe(self, recipe: Recipe) -> None:
        """Store the resolved recipe; only decoding and ``RESUMABLE_SETTINGS`` may change.

        Raises:
            BadData: the training settings are others.
        """
        if recipe.learning_hash != self.identity.learning_hash:
            raise BadData("runs.other-recipe", run=self.name)
        atomic.write_bytes(self.folder / "recipe.json", _pretty(recipe))

    # --- events ---------------------------------------------------------------------------

    def emit(self, event: AnyEvent) -> None:
        """Append one event without secrets; fsync if it changes the run's state."""
        durable = not isinstance(event, _FREQUENT)
        line = encode_event(redact_event(event)) + b"\n"
        jsonl.append_lines(self.log_path, line, durable=durable)

    def log(self, *, whole: bool = True) -> EventLog:
        """Read the event log; lines that cannot be read are counted.

        Without ``whole`` only the lines that decide the state are read (``event_index``).
        """
        events, garbled, unknown = [], 0, 0
        lines = jsonl.read_lines(self.log_path)
        for line in lines if whole else state_events(lines):
            try:
                event = decode_event(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                garbled += 1
                continue
            if event is None:
                unknown += 1
            else:
                events.append(event)
        return EventLog(events, garbled, unknown)

    def events(self) -> list[AnyEvent]:
        """Return the readable events, in order."""
        return self.log().events

    def state(self) -> RunState:
        """Return the fold of the log; a running run without a live worker is ``INTERRUPTED``."""
        state = fold(self.log(whole=False).events)
        if state.status is RunStatus.RUNNING and self.holder() is None:
            return msgspec.structs.replace(state, status=RunStatus.INTERRUPTED)
        return state

    # --- lock -------------------------------------------------------------------------

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run's lock inside the block; the kernel releases it when the process dies.

        Raises:
            Interrupted: another process holds it; the message names its pid and host.
        """
        handle = os.open(self.folder / "run.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._take(handle)
            os.ftruncate(handle, 0)
            holder = LockHolder(pid=os.getpid(), host=socket.gethostname())
            os.pwrite(handle, msgspec.json.encode(holder), 0)
            jsonl.drop_torn_line(self.log_path)
            yield
        finally:
            os.close(handle)

    def _take(self, handle: int) -> None:
        # A reader that asks who holds the lock holds it for a moment itself: try again then.
        for _ in range(LOCK_TRIES):
            with suppress(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(LOCK_PAUSE_SECONDS)
        holder = self._noted_holder()
        raise Interrupted(
            "runs.locked",
            run=self.name,
            pid=holder.pid if holder else "?",
            host=holder.host if holder else "?",
        )

    def holder(self) -> LockHolder | None:
        """Return the live process that holds the lock, if there is one."""
        try:
            handle = os.open(self.folder / "run.lock", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return self._noted_holder() or LockHolder(pid=0, host="?")
        finally:
            os.close(handle)
        return None

    def _noted_holder(self) -> LockHolder | None:
        try:
            return msgspec.json.decode((self.folder / "run.lock").read_bytes(), type=LockHolder)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    # --- predictions ----------------------------------------------------------------------------

    def predictions_path(self, split: SplitName, variant: str | None = None) -> Path:
        """Return the file of a split's predictions; a ``variant`` is another decoding."""
        stem = split if variant is None else f"{split}@{atomic.checked_name(variant)}"
        return self.folder / "predictions" / f"{stem}.jsonl"

    def predictions(self, split: SplitName, variant: str | None = None) -> list[Prediction]:
        """Return the stored predictions in the order they were made, each id once."""
        by_id: dict[str, Prediction] = {}
        for line in jsonl.read_lines(self.predictions_path(split, variant)):
            # A damaged line is left out, so that its dialogue is predicted again.
            with suppress(msgspec.DecodeError, UnicodeDecodeError):
                prediction = _PREDICTION.decode(line)
                by_id.setdefault(prediction.id, prediction)
        return list(by_id.values())

    def begin_predictions(
        self, split: SplitName, fingerprint: str, variant: str | None = None
    ) -> list[Prediction]:
        """Return the predictions that exist for these inputs; set aside those of other inputs.

        ``fingerprint`` is the hash of weights, decoding and dialogues.
        """
        path = self.predictions_path(split, variant)
        note = path.with_suffix(".sha256")
        path.parent.mkdir(exist_ok=True)
        if not note.is_file() or note.read_text(encoding="utf-8") != fingerprint:
            if path.exists():
                atomic.set_aside(path, "old")
            atomic.write_text(note, fingerprint)
        jsonl.drop_torn_line(path)
        return self.predictions(split, variant)

    def add_predictions(
        self, split: SplitName, items: Iterable[Prediction], variant: str | None = None
    ) -> None:
        """Append predictions in one fsynced write: all of them are stored, or none."""
        lines = b"".join(msgspec.json.encode(item) + b"\n" for item in items)
        jsonl.append_lines(self.predictions_path(split, variant), lines, durable=True)

    # --- scores ---------------------------------------------------------------------

    def scorecard_path(self, split: SplitName, variant: str | None = None) -> Path:
        """Return the file of a split's scorecard."""
        stem = split if variant is None else f"{split}@{atomic.checked_name(variant)}"
        return self.folder / "scores" / f"{stem}.json"

    def write_scorecard(
        self, split: SplitName, card: Scorecard, variant: str | None = None
    ) -> None:
        """Store the scores of a split's predictions."""
        atomic.write_bytes(self.scorecard_path(split, variant), _pretty(card))

    def scorecard(self, split: SplitName = "dev", variant: str | None = None) -> Scorecard | None:
        """Return the stored scorecard, ``None`` where nothing was scored yet."""
        path = self.scorecard_path(split, variant)
        return _read(path, Scorecard) if path.is_file() else None


def read_recipe(folder: Path) -> Recipe:
    """Return the resolved recipe that a run or its export recorded, under current names.

    Raises:
        InputMissing, BadData: there is none, or it cannot be read.
    """
    path = folder / "recipe.json"
    current = recorded_settings(_read(path, dict[str, Any]))
    try:
        return msgspec.convert(current, Recipe)
    except msgspec.ValidationError as error:
        raise BadData("runs.bad-record", path=path, problem=error) from error


def create(folder: Path, identity: RunIdentity, recipe: Recipe, provenance: bytes) -> Run:
    """Create a run folder atomically, with its identity, recipe and provenance."""
    with atomic.whole_folder(folder) as temporary:
        atomic.write_bytes(temporary / "identity.json", _pretty(identity))
        atomic.write_bytes(temporary / "recipe.json", _pretty(recipe))
        atomic.write_bytes(temporary / "provenance.json", provenance)
    return Run(folder)


def _pretty(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def _read(path: Path, kind: type[_T], disk_format: DiskFormat = RUN) -> _T:
    try:
        return decode_record(path.read_bytes(), kind, disk_format, path)
    except FileNotFoundError as error:
        raise InputMissing("runs.no-record", path=path) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadData("runs.bad-record", path=path, problem=error) from error
