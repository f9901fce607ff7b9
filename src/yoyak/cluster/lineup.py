"""Run a line-up on a Ray cluster: one actor per run, queued by Ray until a node has room.

The actor starts the same worker process, below the same watchdog and limits, as the scheduler of
one machine does, and only its node writes to the run's log meanwhile. The driver reads that log
from the shared folder. A worker whose node is lost counts as killed: Ray places its next attempt on
another node, where it goes on from the newest whole checkpoint.
"""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from yoyak.cluster.connection import ClusterSize, NodeCheck, answer, last_line, size_of
from yoyak.config.project import ResourceLimits
from yoyak.errors import Interrupted, Unavailable
from yoyak.events import AnyEvent
from yoyak.runs.event_tail import EventTail
from yoyak.runs.run import Run
from yoyak.scheduler.placement import Worker
from yoyak.scheduler.resource_monitor import ResourceMonitor
from yoyak.scheduler.worker_process import GRACE_SECONDS, WorkerProcess
from yoyak.system.probe import threads_for

LOST_SECONDS = 120.0
"""How long the lock of a lost node's run may outlive it: NFS servers keep one for a lease of 90 s.

A node that was only cut off, and works on, holds it still: the run is then reported as locked.
"""


CREATION = "creation task"
"""What Ray says of an actor that could not be made: yoyak is missing on that node, or damaged."""


class NodeJob(NamedTuple):
    """What an actor does: a run, where its data lie, and under which limits."""

    folder: Path
    data_folder: Path
    limits: ResourceLimits
    processes: int
    check: NodeCheck


class NodeWorker:
    """The actor on a node: starts the worker process and watches it."""

    def __init__(self, job: NodeJob) -> None:
        self._job = job
        self._worker: WorkerProcess | None = None
        self._monitor = ResourceMonitor(job.limits, self._stop)

    def tick(self, requests: int) -> int | None:
        """Start or look after the worker; return its exit code once it has ended.

        Args:
            requests: how often a stop was requested so far.
        """
        if self._worker is None:
            self._job.check.require()
            job = self._job
            self._worker = WorkerProcess(Run(job.folder), job.data_folder, processes=job.processes)
        self._worker.request_stop(requests)
        self._worker.check()
        # Ray has set it to the GPUs of this actor.
        self._monitor.check({self._worker.run: os.environ.get("CUDA_VISIBLE_DEVICES")}, ())
        return self._worker.poll()

    def end(self) -> None:
        """Stop the worker; it may save first."""
        if self._worker is not None:
            self._worker.end()

    def _stop(self) -> None:
        if self._worker is not None:
            self._worker.request_stop(1)


class RayWorker:
    """A run's actor, as the driver sees it.

    Args:
        ray: the module, connected.
        run: not locked by anybody else.
        actor: a handle of ``NodeWorker``, which may still wait for a node.
    """

    def __init__(self, ray: Any, run: Run, actor: Any) -> None:
        self.run = run
        self._ray = ray
        self._actor = actor
        self._tail = EventTail(run.log_path)
        self._requests = 0
        self._tick = actor.tick.remote(0)
        self._is_placed = False
        self._lost_at: float | None = None
        self._code: int | None = None

    def poll(self) -> int | None:
        """Return the exit code once the worker has ended; SIGKILL's where its node is lost.

        Raises:
            BadData: the node does not see what this machine sees.
        """
        if self._lost_at is not None and self._code is None:
            waited = time.monotonic() - self._lost_at
            if self.run.holder() is None or waited > LOST_SECONDS:
                self._code = -signal.SIGKILL
        elif self._code is None and self._ray.wait([self._tick], timeout=0)[0]:
            self._take_answer()
        return self._code

    def _take_answer(self) -> None:
        errors = self._ray.exceptions
        try:
            found = answer(self._ray, self._tick)
        except errors.ActorUnavailableError:
            found = None  # Ray has lost sight of it: it comes back, or is declared dead
        except errors.RayActorError as error:
            if CREATION in str(error):
                raise Unavailable("cluster.no-start", problem=last_line(error)) from error
            self._lost_at = time.monotonic()
            return
        self._is_placed = True
        self._code = found
        if found is None:
            self._tick = self._actor.tick.remote(self._requests)
        else:
            self._ray.kill(self._actor)

    def events(self) -> Iterator[AnyEvent]:
        """Yield what the run's log has gained, read from the shared folder."""
        return self._tail.read()

    def check(self) -> None:
        """Do nothing: the node's own watchdog reports."""

    def request_stop(self, requests: int) -> None:
        """Pass on how often a stop was requested; a run that waits for a node is given up."""
        self._requests = max(self._requests, requests)
        if self._requests and not self._is_placed and self.poll() is None and not self._is_placed:
            self._ray.kill(self._actor)
            self._code = Interrupted.exit_code

    def end(self) -> None:
        """Stop the worker because the driver cannot go on; it may save first."""
        if self._code is None and self._is_placed:
            with suppress(self._ray.exceptions.RayError):
                self._ray.get(self._actor.end.remote(), timeout=GRACE_SECONDS)
        self._ray.kill(self._actor)


class RayCluster:
    """Places runs on a cluster: a GPU per process where it has GPUs, else CPUs.

    Args:
        ray: the module, connected (``connection.connected``).
        probe: a file of the workspace that this driver holds a lock on (``connection.locked``).
        limits: of each node; a run on a node that exceeds one saves and stops.
        processes: that train one run together, on one node.

    Raises:
        Unavailable: no node has as many GPUs as a run has processes.
    """

    def __init__(self, ray: Any, probe: Path, limits: ResourceLimits, processes: int = 1) -> None:
        self._ray = ray
        self._probe = probe
        self._limits = limits
        self._processes = processes
        self._size = size_of(ray)
        found = max(self._size.gpus)
        if 0 < found < processes:
            raise Unavailable("scheduler.too-few-gpus", found=found, processes=processes)

    @property
    def width(self) -> int:
        """How many models of a real size can be trained at a time: without GPUs, one per node."""
        if any(self._size.gpus):
            return sum(gpus // self._processes for gpus in self._size.gpus)
        return max(1, sum(cpus > 0 for cpus in self._size.cpus))

    def has_room(self, run: Run, workers: Sequence[Worker]) -> bool:  # noqa: ARG002
        """Return true: Ray queues what has no room yet, and an autoscaler sees the demand."""
        return True

    def start(self, run: Run, data_folder: Path, workers: Sequence[Worker]) -> Worker:  # noqa: ARG002
        """Ask Ray for an actor for the run."""
        check = NodeCheck.of(self._probe, run.folder, data_folder)
        processes = self._processes
        job = NodeJob(run.folder.absolute(), data_folder.absolute(), self._limits, processes, check)
        resources = resources_for(run, self._size, processes)
        actor = self._ray.remote(NodeWorker).options(max_restarts=0, **resources)
        return RayWorker(self._ray, run, actor.remote(job))


def resources_for(run: Run, size: ClusterSize, processes: int) -> dict[str, float]:
    """Return what the actor of a run occupies; no more CPUs than one node has."""
    if any(size.gpus):
        return {"num_gpus": processes, "num_cpus": min(processes, max(size.cpus))}
    cpus = threads_for(run.recipe) * processes
    return {"num_gpus": 0, "num_cpus": min(cpus, max(size.cpus))}
