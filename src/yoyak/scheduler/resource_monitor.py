"""The one who looks at the machine every few seconds, makes room while he can, and says stop."""

import time
from collections.abc import Callable, Iterable, Sequence

from yoyak.events import Warned
from yoyak.runs.run import Run
from yoyak.runs.settings import ResourceLimits
from yoyak.runs.workspace import Workspace
from yoyak.system import limits
from yoyak.system.limits import LimitDecision, OverLimit, WithinLimits
from yoyak.system.probe import GB
from yoyak.system.prune import PruneCandidate, candidates, prune

SAMPLE_SECONDS = 5.0

DISK_KEYS = frozenset({"scheduler.disk-free", "scheduler.disk-used"})


class ResourceMonitor:
    """Watches the machine for the runs in work.

    Args:
        limits_: when the machine is in danger.
        stop: called once a look when it is; before anything is written, for the disk may be full.
    """

    def __init__(self, limits_: ResourceLimits, stop: Callable[[], None]) -> None:
        self._limits = limits_
        self._stop = stop
        self._looked = float("-inf")
        self._said: LimitDecision = WithinLimits()
        self._pruned = False
        self.danger: OverLimit | None = None

    def look(self, working: Sequence[Run], needed_bases: Iterable[str]) -> None:
        """One look, if it is time; ``needed_bases`` are bases of runs still to come."""
        now = time.monotonic()
        if not working or now - self._looked < SAMPLE_SECONDS:
            return
        self._looked = now
        readings = limits.read(working[0].folder)
        decision = limits.decide(readings, self._limits)
        if getattr(decision, "key", None) in DISK_KEYS and self._made_room(working, needed_bases):
            readings = limits.read(working[0].folder)
            decision = limits.decide(readings, self._limits)
        if isinstance(decision, OverLimit):
            self.danger = decision
            self._stop()
        for run in working:
            run.emit(readings.sampled(time.time()))
        self._say(decision, working)

    def _made_room(self, working: Sequence[Run], needed_bases: Iterable[str]) -> bool:
        """Prunes once for every time that room ran short; whether that freed anything."""
        if self._pruned:
            return False
        self._pruned = True
        workspace = Workspace(working[0].folder.parent.parent)
        chosen = candidates(workspace, hub=self._limits.prune_hub, needed_bases=needed_bases)
        gone = prune(workspace, chosen)
        if gone:
            self._tell_pruned(gone, working)
        return bool(gone)

    def _tell_pruned(self, gone: Sequence[PruneCandidate], working: Sequence[Run]) -> None:
        freed = sum(each.size_bytes for each in gone) / GB
        fields = {"count": str(len(gone)), "freed": f"{freed:.1f}"}
        for run in working:
            run.emit(Warned(at=time.time(), key="scheduler.pruned", fields=fields))

    def _say(self, decision: LimitDecision, working: Sequence[Run]) -> None:
        if isinstance(decision, WithinLimits):
            self._pruned = False
        elif type(decision) is not type(self._said):
            for run in working:
                run.emit(Warned(at=time.time(), key=decision.key, fields=decision.fields))
        self._said = decision
