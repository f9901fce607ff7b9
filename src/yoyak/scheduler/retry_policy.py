"""What becomes of a run whose worker has ended: accepted, taken up again, or with smaller passes.

The rungs of the ladder are events of the run, so that whoever takes it up again, this line-up or
one next week, cuts its batches as before. The effective batch is the same on every rung.
"""

import signal
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

import msgspec

from yoyak.config.schema import Checkpointing, Recipe, TrainSettings
from yoyak.errors import Interrupted
from yoyak.events import AnyEvent, Failed, Warned

RESTARTS = 3
"""A worker that was killed from outside is started again this many times."""
RUNGS = 3
"""A run that has no memory gets smaller passes this many times."""

SMALLER_KEY = "scheduler.smaller-passes"
PASS_TOKENS = 4_096

KILLED = (signal.SIGKILL, signal.SIGSEGV, signal.SIGBUS)
"""The kernel's own way out when memory is short, and what a driver's fault looks like."""
ASKED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Somebody wants it to stop."""

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
    """How often a run was helped in this line-up."""

    restarts: int = 0
    rungs: int = 0


def decide(code: int, failed: Failed | None, tries: RetryCounts) -> RetryAction:
    """The verdict on an exit code; ``failed`` is the worker's own last word, if it left one."""
    if code == 0:
        return RetryAction.FINISHED
    if code == Interrupted.exit_code or -code in ASKED:
        return RetryAction.INTERRUPTED
    if -code in KILLED:
        if tries.restarts < RESTARTS:
            return RetryAction.AGAIN
        return RetryAction.INTERRUPTED if -code == signal.SIGKILL else RetryAction.FAILED
    if failed is not None and is_out_of_memory(failed) and tries.rungs < RUNGS:
        return RetryAction.SMALLER
    return RetryAction.FAILED


def is_out_of_memory(failed: Failed) -> bool:
    """Whether a failure nobody foresaw was a lack of memory; errors of ours know better."""
    if failed.kind in _MEMORY_KINDS:
        return True
    return "." not in failed.kind and any(word in failed.message for word in _MEMORY_WORDS)


def oom_retry_level(events: Iterable[AnyEvent]) -> int:
    """How often the run was given smaller passes."""
    return sum(isinstance(event, Warned) and event.key == SMALLER_KEY for event in events)


def with_smaller_batches(recipe: Recipe, rung: int) -> Recipe:
    """``recipe`` with passes halved ``rung`` times, more and more of them computed twice.

    ``batch_size``, the effective batch, stays: a smaller pass is accumulated more often.
    """
    if rung == 0:
        return recipe
    train = recipe.train
    rows = max(1, (train.micro_batch_size or train.batch_size) >> rung)
    smaller = msgspec.structs.replace(
        train,
        micro_batch_size=max(each for each in range(1, rows + 1) if train.batch_size % each == 0),
        micro_batch_tokens=max(1, (train.micro_batch_tokens or PASS_TOKENS) >> rung),
        gradient_checkpointing=_checkpointing_on(rung, train),
    )
    return msgspec.structs.replace(recipe, train=smaller)


def _checkpointing_on(rung: int, train: TrainSettings) -> Checkpointing:
    """Every second block from the second rung on, every block from the third."""
    if train.gradient_checkpointing != "auto" or rung == 1:
        return train.gradient_checkpointing
    return "selective" if rung == 2 else "on"
