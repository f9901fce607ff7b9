"""Tell a slow worker from a stuck one by its silence and its CPU time.

Silence alone proves nothing: a first step, an evaluation or a download takes long. A worker is slow
when it writes no event for ten times its usual interval but uses the CPU, and stuck when it does
not, or when the silence lasts six times as long again. It is only reported, never killed.
"""

from collections import deque
from statistics import median

from yoyak.runs.liveness import Liveness

SILENCE_SECONDS = 300.0
"""A shorter silence is never reported: evaluations and downloads write no events for long."""
SLOW_INTERVALS = 10
"""Usual intervals without an event after which a worker is slow."""
STUCK_FACTOR = 6
"""Times the threshold of slow; then even a busy worker counts as stuck."""
BUSY_SHARE = 0.05
"""CPU time of a busy worker, as a share of one core."""


class Heartbeat:
    """The intervals between a worker's last 50 events; times are seconds of a monotonic clock."""

    def __init__(self, now: float) -> None:
        self._last = now
        self._intervals: deque[float] = deque(maxlen=50)

    def record(self, now: float) -> None:
        """Note that the worker wrote an event."""
        self._intervals.append(now - self._last)
        self._last = now

    def silence_seconds(self, now: float) -> float:
        """Return the time since the last event."""
        return now - self._last

    @property
    def slow_after_seconds(self) -> float:
        """The silence from which on the worker is slow or stuck."""
        usual = median(self._intervals) if self._intervals else 0.0
        return max(SILENCE_SECONDS, SLOW_INTERVALS * usual)

    def liveness(self, now: float, *, is_busy: bool | None) -> Liveness:
        """Classify the worker; ``is_busy`` is ``None`` if its CPU time could not be read."""
        silence = self.silence_seconds(now)
        if silence < self.slow_after_seconds:
            return Liveness.RUNNING
        is_slow = is_busy and silence < STUCK_FACTOR * self.slow_after_seconds
        return Liveness.SLOW if is_slow else Liveness.STUCK


class CpuActivity:
    """Whether a process and its children use the CPU, from their CPU time between two calls."""

    def __init__(self, pid: int, now: float) -> None:
        self._pid = pid
        self._last = (now, self._seconds())

    def is_busy(self, now: float) -> bool | None:
        """Return whether it was busy since the last call; ``None`` if that cannot be read."""
        (before, used_before), used = self._last, self._seconds()
        self._last = (now, used)
        if used is None or used_before is None or now <= before:
            return None
        return (used - used_before) / (now - before) >= BUSY_SHARE

    def _seconds(self) -> float | None:
        import psutil

        total = 0.0
        for pid in process_tree(self._pid):
            try:
                times = psutil.Process(pid).cpu_times()
            except psutil.Error:
                return None
            total += times.user + times.system
        return total


def process_tree(pid: int) -> list[int]:
    """Return a process and those it has started, and so on; the process alone if it is gone."""
    import psutil

    try:
        return [pid, *(each.pid for each in psutil.Process(pid).children(recursive=True))]
    except psutil.Error:
        return [pid]
