"""Where the workers of runs are started: what the scheduler asks of a machine or a cluster."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from yoyak.events import AnyEvent
from yoyak.runs.run import Run


class Worker(Protocol):
    """A worker at work on a run, wherever its process is."""

    run: Run

    def poll(self) -> int | None:
        """Return the exit code once the worker has ended; negative for a signal.

        A worker whose machine is lost ended by SIGKILL, once nothing holds the run's lock.
        """

    def events(self) -> Iterator[AnyEvent]:
        """Yield what the run's log has gained, whoever wrote it."""

    def check(self) -> None:
        """Report in the run's log if the worker is slow or stuck."""

    def request_stop(self, requests: int) -> None:
        """Pass on how often a stop was requested: the second time means exit at once."""

    def end(self) -> None:
        """Stop the worker because its parent cannot go on; it may save first."""


class Placement(Protocol):
    """Starts workers where there is room for them."""

    @property
    def width(self) -> int:
        """How many models of a real size can be trained at a time."""

    def has_room(self, run: Run, workers: Sequence[Worker]) -> bool:
        """Return whether a worker for ``run`` can be started beside ``workers``."""

    def start(self, run: Run, data_folder: Path, workers: Sequence[Worker]) -> Worker:
        """Start a worker; no process holds the run's lock."""
