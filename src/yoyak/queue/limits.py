"""Whether it is safe to go on: probes that say "unknown" when they do not know, one pure decision.

A guard of this field once returned 0 GB whenever it failed to measure, and so could never fire.
Here the disk that cannot be measured counts as full.
"""

import os
import shutil
from pathlib import Path

from yoyak.events import SystemMetrics
from yoyak.queue import machine
from yoyak.runs.settings import ResourceLimits
from yoyak.values import Value

GB = 1e9
WARN_MARGIN = 1.5
"""A warning comes when less than this times the limit is left."""


class Readings(Value, frozen=True, kw_only=True):
    """What the machine looks like; ``None`` where it could not be measured."""

    disk_free_gb: float | None = None
    disk_used_gb: float | None = None
    ram_free_gb: float | None = None
    ram_used_gb: float | None = None
    vram_used_gb: float | None = None
    vram_total_gb: float | None = None

    def sampled(self, at: float) -> SystemMetrics:
        """These readings as an event."""
        return SystemMetrics(
            at=at,
            disk_free_gb=self.disk_free_gb,
            disk_used_gb=self.disk_used_gb,
            vram_used_gb=self.vram_used_gb,
            vram_total_gb=self.vram_total_gb,
            ram_used_gb=self.ram_used_gb,
        )


class Fine(Value, frozen=True, kw_only=True, tag="fine"):
    """Nothing is near its limit."""


class Warn(Value, frozen=True, kw_only=True, tag="warn"):
    """Something comes near its limit; ``key`` and ``fields`` are a catalogue sentence."""

    key: str
    fields: dict[str, str]


class Stop(Value, frozen=True, kw_only=True, tag="stop"):
    """Something is over its limit: the run has to save and leave."""

    key: str
    fields: dict[str, str]


Decision = Fine | Warn | Stop


def read(folder: Path) -> Readings:
    """Measures the disk that holds ``folder``, the memory, and the first card."""
    used, free = _disk(folder)
    ram_used, ram_free = _ram()
    vram_used, vram_total = _vram()
    return Readings(
        disk_free_gb=free,
        disk_used_gb=used,
        ram_free_gb=ram_free,
        ram_used_gb=ram_used,
        vram_used_gb=vram_used,
        vram_total_gb=vram_total,
    )


def read_disk(folder: Path) -> Readings:
    """Measures the disk that holds ``folder`` and nothing else."""
    used, free = _disk(folder)
    return Readings(disk_free_gb=free, disk_used_gb=used)


def room_gb(readings: Readings, limits: ResourceLimits) -> float | None:
    """What may still be written below every limit of the disk; ``None`` if it is not known."""
    below = _left(limits.disk_used_gb, readings.disk_used_gb)
    rooms = [room for room in (readings.disk_free_gb, below) if room is not None]
    return None if readings.disk_free_gb is None else min(rooms)


def decide(readings: Readings, limits: ResourceLimits) -> Decision:
    """The one place that says stop."""
    if readings.disk_free_gb is None or readings.disk_used_gb is None:
        return Stop(key="scheduler.disk-unknown", fields={})
    near = None
    for key, found, limit in _rooms(readings, limits):
        fields = {"found": f"{found:.1f}", "limit": f"{limit:.1f}"}
        if found < limit:
            return Stop(key=key, fields=fields)
        if found < limit * WARN_MARGIN and near is None:
            near = Warn(key=key, fields=fields)
    return near or Fine()


def _rooms(readings: Readings, limits: ResourceLimits) -> list[tuple[str, float, float]]:
    """What is left of everything that was measured and has a limit, and how much has to be."""
    used, total = readings.vram_used_gb, readings.vram_total_gb
    rooms = [
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
        (key, left, limit) for key, left, limit in rooms if left is not None and limit is not None
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


def _vram() -> tuple[float | None, float | None]:
    """Of the first card that the worker may use."""
    found = {str(card.index): card for card in machine.cards()}
    wanted = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
    card = found.get(wanted)
    return (card.used_gb, card.total_gb) if card else (None, None)
