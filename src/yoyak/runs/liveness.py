"""Read the health of a run from its records: status, lock and what the watchdog wrote last.

``yoyak.scheduler.heartbeat`` measures; its warnings in the log are what is read here.
"""

from collections.abc import Iterable
from enum import StrEnum

from yoyak.events import AnyEvent, RunStatus, SystemMetrics, Warned

SLOW_KEY = "scheduler.slow"
STUCK_KEY = "scheduler.stuck"


class Liveness(StrEnum):
    """Whether a running worker makes progress."""

    RUNNING = "running"
    SLOW = "slow"
    STUCK = "stuck"


class WorkerHealth(StrEnum):
    """The status of a run, and of a running one whether it is slow or stuck."""

    QUEUED = "queued"
    RUNNING = "running"
    SLOW = "slow"
    STUCK = "stuck"
    INTERRUPTED = "interrupted"
    STOPPED = "stopped"
    FAILED = "failed"
    FINISHED = "finished"


def is_worker_event(event: AnyEvent) -> bool:
    """Return whether the worker wrote ``event``; samples and warnings are its parent's."""
    return not isinstance(event, SystemMetrics | Warned)


def worker_health(status: RunStatus, events: Iterable[AnyEvent]) -> WorkerHealth:
    """Return the status, or for a running run what the watchdog found last."""
    return WorkerHealth(
        last_liveness(events).value if status is RunStatus.RUNNING else status.value
    )


def last_liveness(events: Iterable[AnyEvent]) -> Liveness:
    """Return what the watchdog wrote last, or ``RUNNING`` if the worker has written since."""
    liveness = Liveness.RUNNING
    for event in events:
        liveness = liveness_after(liveness, event)
    return liveness


def liveness_after(liveness: Liveness, event: AnyEvent) -> Liveness:
    """Return the liveness after ``event``: any event of the worker is a sign of life."""
    if is_worker_event(event):
        return Liveness.RUNNING
    return _BY_WARNING.get(event.key, liveness) if isinstance(event, Warned) else liveness


_BY_WARNING = {SLOW_KEY: Liveness.SLOW, STUCK_KEY: Liveness.STUCK}
