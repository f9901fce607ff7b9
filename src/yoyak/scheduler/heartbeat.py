"""Telling a slow worker from a stuck one, by its silence and by whether it computes.

A step may take long, a first step longer, a download longest: silence alone proves nothing. A
worker is slow when it is silent for ten times its usual pause and uses a processor, and stuck when
it does not, or when the silence lasts six times as long again. Nobody is killed for it.
"""

from collections import deque
from statistics import median

from yoyak.runs.liveness import Liveness

SILENCE_SECONDS = 300.0
"""No silence shorter than this is remarkable: evaluations and downloads are quiet for long."""
PATIENCE = 10
"""Times the usual pause."""
STUCK_AFTER = 6
"""Times the silence that is remarkable; then even a busy worker counts as stuck."""
BUSY_SHARE = 0.05
"""Of one core."""


class Heartbeat:
    """The pauses between a worker's events, on a clock that never jumps."""

    def __init__(self, now: float) -> None:
        self._heard = now
        self._pauses: deque[float] = deque(maxlen=50)

    def hear(self, now: float) -> None:
        """The worker wrote an event."""
        self._pauses.append(now - self._heard)
        self._heard = now

    def silence_seconds(self, now: float) -> float:
        """Since its last event."""
        return now - self._heard

    @property
    def remarkable_seconds(self) -> float:
        """From this silence on something is to be said."""
        usual = median(self._pauses) if self._pauses else 0.0
        return max(SILENCE_SECONDS, PATIENCE * usual)

    def mood(self, now: float, *, busy: bool | None) -> Liveness:
        """The mood; ``busy`` says whether it computes, ``None`` if nobody could tell."""
        silence = self.silence_seconds(now)
        if silence < self.remarkable_seconds:
            return Liveness.RUNNING
        computes = busy and silence < STUCK_AFTER * self.remarkable_seconds
        return Liveness.SLOW if computes else Liveness.STUCK


class CpuActivity:
    """Whether a process computes, from the processor time it has used between two looks."""

    def __init__(self, pid: int, now: float) -> None:
        self._pid = pid
        self._last = (now, self._seconds())

    def __call__(self, now: float) -> bool | None:
        """Since the last look; ``None`` if the process cannot be looked at."""
        (before, used_before), used = self._last, self._seconds()
        self._last = (now, used)
        if used is None or used_before is None or now <= before:
            return None
        return (used - used_before) / (now - before) >= BUSY_SHARE

    def _seconds(self) -> float | None:
        import psutil

        try:
            times = psutil.Process(self._pid).cpu_times()
        except psutil.Error:
            return None
        return float(times.user + times.system)
