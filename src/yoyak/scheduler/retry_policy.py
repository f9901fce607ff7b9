"""Decide whether an ended run is done, restarted, or retried with smaller micro-batches.

Each reduction is an event in the run's log, so a later ``yoyak run`` keeps it. The effective batch
size never changes: smaller micro-batches are accumulated more often.
"""

import signal
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

import msgspec

from yoyak.config.schema import Checkpointing, Recipe, TrainSettings
from yoyak.errors import Interrupted
from yoyak.events import AnyEvent, Failed, Warned
from yoyak.runs.stop_signals import STOP_SIGNALS

RESTARTS = 3
"""How often a worker that was killed from outside is started again."""
OOM_RETRIES = 3
"""How often a run that is out of memory is retried with smaller micro-batches."""

SMALLER_KEY = "scheduler.smaller-passes"
PASS_TOKENS = 4_096

KILLED = (signal.SIGKILL, signal.SIGSEGV, signal.SIGBUS)
"""Signals of the kernel's OOM killer and of driver faults."""

_MEMORY_KINDS = ("OutOfMemoryError", "MemoryError")
_MEMORY_WORDS = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "can't allocate memory")


class RetryAction(StrEnum):
    """What to do with a run whose worker has ended."""

    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    AGAIN = "again"
    SMALLER = "smaller"


class RetryCounts(NamedTuple):
    """How often a run was retried by this process."""

    restarts: int = 0
    oom_retries: int = 0


def decide(code: int, failed: Failed | None, counts: RetryCounts) -> RetryAction:
    """Return what to do after an exit code; ``failed`` is what the worker recorded, if it did."""
    if code == 0:
        return RetryAction.FINISHED
    if code == Interrupted.exit_code or -code in STOP_SIGNALS:
        return RetryAction.INTERRUPTED
    if -code in KILLED:
        if counts.restarts < RESTARTS:
            return RetryAction.AGAIN
        return RetryAction.INTERRUPTED if -code == signal.SIGKILL else RetryAction.FAILED
    if failed is not None and is_out_of_memory(failed) and counts.oom_retries < OOM_RETRIES:
        return RetryAction.SMALLER
    return RetryAction.FAILED


def is_out_of_memory(failed: Failed) -> bool:
    """Return whether an unforeseen failure was out of memory; yoyak's own errors are not."""
    if failed.kind in _MEMORY_KINDS:
        return True
    return "." not in failed.kind and any(word in failed.message for word in _MEMORY_WORDS)


def oom_retry_level(events: Iterable[AnyEvent]) -> int:
    """Return how often the run was retried with smaller micro-batches."""
    return sum(isinstance(event, Warned) and event.key == SMALLER_KEY for event in events)


def with_smaller_batches(recipe: Recipe, level: int) -> Recipe:
    """Return ``recipe`` with micro-batches halved ``level`` times and more checkpointing.

    ``batch_size``, the effective batch, stays the same.
    """
    if level == 0:
        return recipe
    train = recipe.train
    rows = max(1, (train.micro_batch_size or train.batch_size) >> level)
    smaller = msgspec.structs.replace(
        train,
        micro_batch_size=max(each for each in range(1, rows + 1) if train.batch_size % each == 0),
        micro_batch_tokens=max(1, (train.micro_batch_tokens or PASS_TOKENS) >> level),
        gradient_checkpointing=_checkpointing_at(level, train),
    )
    return msgspec.structs.replace(recipe, train=smaller)


def _checkpointing_at(level: int, train: TrainSettings) -> Checkpointing:
    """Return the checkpointing: every second block at level 2, every block from level 3 on."""
    if train.gradient_checkpointing != "auto" or level == 1:
        return train.gradient_checkpointing
    return "selective" if level == 2 else "on"
