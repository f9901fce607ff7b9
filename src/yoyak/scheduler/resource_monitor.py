"""Poll disk, RAM and each run's GPU memory; prune when the disk runs low, stop at a limit."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping

from yoyak.config.project import ResourceLimits
from yoyak.events import Warned
from yoyak.runs.run import Run
from yoyak.runs.workspace import Workspace
from yoyak.system import limits
from yoyak.system.limits import LimitDecision, OverLimit, WithinLimits
from yoyak.system.probe import GB
from yoyak.system.prune import candidates, prune

SAMPLE_SECONDS = 5.0

DISK_KEYS = frozenset({"scheduler.disk-free", "scheduler.disk-used"})


class ResourceMonitor:
    """Compares the machine with the limits while runs are at work.

    Args:
        limits_: of ``yoyak.toml``.
        stop: called at each check that finds a limit exceeded, before anything is written,
            because the disk may be full.
    """

    def __init__(self, limits_: ResourceLimits, stop: Callable[[], None]) -> None:
        self._limits = limits_
        self._stop = stop
        self._checked_at = float("-inf")
        self._reported: dict[str, LimitDecision] = {}
        self._has_pruned = False
        self.exceeded: OverLimit | None = None

    def check(self, running: Mapping[Run, str | None], needed_bases: Iterable[str]) -> None:
        """Measure at most every ``SAMPLE_SECONDS``, record it in each run's log, warn and stop.

        Args:
            running: runs and their workers' CUDA_VISIBLE_DEVICES; ``None`` is the environment's.
            needed_bases: base models of runs still to come, which are not pruned.
        """
        now = time.monotonic()
        if not running or now - self._checked_at < SAMPLE_SECONDS:
            return
        self._checked_at = now
        readings = {run: limits.read(run.folder, gpu) for run, gpu in running.items()}
        decisions = {run: limits.decide(each, self._limits) for run, each in readings.items()}
        if any(_is_about_disk(each) for each in decisions.values()) and self._prune(
            running, needed_bases
        ):
            readings = {run: limits.read(run.folder, gpu) for run, gpu in running.items()}
            decisions = {run: limits.decide(each, self._limits) for run, each in readings.items()}
        for decision in decisions.values():
            if isinstance(decision, OverLimit):
                self.exceeded = decision
                self._stop()
                break
        for run, reading in readings.items():
            run.emit(reading.sampled(time.time()))
            self._warn(run, decisions[run])
        if all(isinstance(each, WithinLimits) for each in decisions.values()):
            self._has_pruned = False

    def _prune(self, running: Collection[Run], needed_bases: Iterable[str]) -> bool:
        """Prune once per shortage; return whether anything was deleted."""
        if self._has_pruned:
            return False
        self._has_pruned = True
        workspace = Workspace(next(iter(running)).folder.parent.parent)
        chosen = candidates(workspace, hub=self._limits.prune_hub, needed_bases=needed_bases)
        deleted = prune(workspace, chosen)
        freed = sum(each.size_bytes for each in deleted) / GB
        fields = {"count": str(len(deleted)), "freed": f"{freed:.1f}"}
        for run in running if deleted else ():
            run.emit(Warned(at=time.time(), key="scheduler.pruned", fields=fields))
        return bool(deleted)

    def _warn(self, run: Run, decision: LimitDecision) -> None:
        """Write a warning when a run's decision becomes worse or better, but for the all-clear."""
        before = self._reported.get(run.name, WithinLimits())
        if not isinstance(decision, WithinLimits) and type(decision) is not type(before):
            run.emit(Warned(at=time.time(), key=decision.key, fields=decision.fields))
        self._reported[run.name] = decision


def _is_about_disk(decision: LimitDecision) -> bool:
    return not isinstance(decision, WithinLimits) and decision.key in DISK_KEYS
