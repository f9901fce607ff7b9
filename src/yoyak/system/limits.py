"""Readings of disk, RAM and GPU memory against the limits of yoyak.toml: one pure decision.

What cannot be measured is ``None``, never 0; a disk that cannot be measured counts as full. The
message keys are those of the event log, whose earlier records have to stay readable.
"""

import shutil
from pathlib import Path

from yoyak.config.project import ResourceLimits
from yoyak.events import SystemMetrics
from yoyak.system.probe import GB, visible_gpus
from yoyak.values import Value

WARN_MARGIN = 1.5
"""Warn when less than this times the limit is left."""


class Readings(Value, frozen=True, kw_only=True):
    """Disk, RAM and GPU memory at one moment; ``None`` where it could not be measured."""

    disk_free_gb: float | None = None
    disk_used_gb: float | None = None
    ram_free_gb: float | None = None
    ram_used_gb: float | None = None
    vram_used_gb: float | None = None
    vram_total_gb: float | None = None

    def sampled(self, at: float) -> SystemMetrics:
        """Return these readings as an event."""
        return SystemMetrics(
            at=at,
            disk_free_gb=self.disk_free_gb,
            disk_used_gb=self.disk_used_gb,
            vram_used_gb=self.vram_used_gb,
            vram_total_gb=self.vram_total_gb,
            ram_used_gb=self.ram_used_gb,
        )


class WithinLimits(Value, frozen=True, kw_only=True):
    """Nothing is near its limit."""


class NearLimit(Value, frozen=True, kw_only=True):
    """Something is close to its limit; ``key`` and ``fields`` are a message."""

    key: str
    fields: dict[str, str]


class OverLimit(Value, frozen=True, kw_only=True):
    """Something is over its limit: the run has to save and exit."""

    key: str
    fields: dict[str, str]


LimitDecision = WithinLimits | NearLimit | OverLimit


def read(folder: Path, visible: str | None = None) -> Readings:
    """Measure the disk that holds ``folder``, the RAM, and one GPU.

    ``visible`` is a worker's CUDA_VISIBLE_DEVICES (indices, UUIDs): that with the least free memory
    is measured. ``None`` is the environment's, of which the first one is used.
    """
    used, free = _disk(folder)
    ram_used, ram_free = _ram()
    gpus = visible_gpus(visible) if visible is not None else visible_gpus()[:1]
    gpu = min(gpus, key=lambda each: each.free_gb, default=None)
    return Readings(
        disk_free_gb=free,
        disk_used_gb=used,
        ram_free_gb=ram_free,
        ram_used_gb=ram_used,
        vram_used_gb=gpu.used_gb if gpu else None,
        vram_total_gb=gpu.total_gb if gpu else None,
    )


def read_disk(folder: Path) -> Readings:
    """Measure the disk that holds ``folder`` and nothing else."""
    used, free = _disk(folder)
    return Readings(disk_free_gb=free, disk_used_gb=used)


def room_gb(readings: Readings, limits: ResourceLimits) -> float | None:
    """Return what may still be written below every limit of the disk; ``None`` if unknown."""
    below = _left(limits.disk_used_gb, readings.disk_used_gb)
    headroom = [room for room in (readings.disk_free_gb, below) if room is not None]
    return None if readings.disk_free_gb is None else min(headroom)


def decide(readings: Readings, limits: ResourceLimits) -> LimitDecision:
    """Compare readings with limits; the first limit that is exceeded wins over every warning."""
    if readings.disk_free_gb is None or readings.disk_used_gb is None:
        return OverLimit(key="scheduler.disk-unknown", fields={})
    near = None
    for key, found, limit in _headroom(readings, limits):
        fields = {"found": f"{found:.1f}", "limit": f"{limit:.1f}"}
        if found < limit:
            return OverLimit(key=key, fields=fields)
        if found < limit * WARN_MARGIN and near is None:
            near = NearLimit(key=key, fields=fields)
    return near or WithinLimits()


def _headroom(readings: Readings, limits: ResourceLimits) -> list[tuple[str, float, float]]:
    """Return key, what is left and what has to be, of everything measured that has a limit."""
    used, total = readings.vram_used_gb, readings.vram_total_gb
    headroom = [
        ("scheduler.disk-free", readings.disk_free_gb, limits.disk_free_gb),
        # The room below an absolute limit: at 0 GB left it is reached.
        (
            "scheduler.disk-used",
            _left(limits.disk_used_gb, readings.disk_used_gb),
            limits.disk_free_gb,
        ),
        ("scheduler.ram-free", readings.ram_free_gb, limits.ram_free_gb),
        ("scheduler.vram-free", _left(total, used), limits.vram_free_gb),
    ]
    return [
        (key, left, limit)
        for key, left, limit in headroom
        if left is not None and limit is not None
    ]


def _left(whole: float | None, used: float | None) -> float | None:
    return None if whole is None or used is None else whole - used


def _disk(folder: Path) -> tuple[float | None, float | None]:
    try:
        while not folder.exists():
            folder = folder.parent
        usage = shutil.disk_usage(folder)
    except OSError:
        return None, None
    return usage.used / GB, usage.free / GB


def _ram() -> tuple[float, float]:
    import psutil

    memory = psutil.virtual_memory()
    return (memory.total - memory.available) / GB, memory.available / GB
