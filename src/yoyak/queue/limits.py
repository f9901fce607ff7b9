"""Whether it is safe to go on: probes that say "unknown" when they do not know, one pure decision.

A guard of this field once returned 0 GB whenever it failed to measure, and so could never fire.
Here the disk that cannot be measured counts as full.
"""

import shutil
from pathlib import Path

from yoyak.events import Sampled
from yoyak.store.project import Limits
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

    def sampled(self, at: float) -> Sampled:
        """These readings as an event."""
        return Sampled(
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


def decide(readings: Readings, limits: Limits) -> Decision:
    """The one place that says stop."""
    if readings.disk_free_gb is None or readings.disk_used_gb is None:
        return Stop(key="queue.disk-unknown", fields={})
    rooms = [
        ("queue.disk-free", readings.disk_free_gb, limits.disk_free_gb),
        ("queue.ram-free", readings.ram_free_gb, limits.ram_free_gb),
    ]
    if limits.disk_used_gb is not None:
        # The room below an absolute limit, held against nothing: at 0 GB left it is reached.
        left = limits.disk_used_gb - readings.disk_used_gb
        rooms.append(("queue.disk-used", left, limits.disk_free_gb))
    fields = [
        (key, found, limit, {"found": f"{found:.1f}", "limit": f"{limit:.1f}"})
        for key, found, limit in rooms
        if found is not None
    ]
    for key, found, limit, said in fields:
        if found < limit:
            return Stop(key=key, fields=said)
    for key, found, limit, said in fields:
        if found < limit * WARN_MARGIN:
            return Warn(key=key, fields=said)
    return Fine()


def _disk(folder: Path) -> tuple[float | None, float | None]:
    while not folder.exists():
        folder = folder.parent
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None, None
    return usage.used / GB, usage.free / GB


def _ram() -> tuple[float, float]:
    import psutil

    memory = psutil.virtual_memory()
    return (memory.total - memory.available) / GB, memory.available / GB


def _vram() -> tuple[float | None, float | None]:
    try:
        import pynvml
    except ImportError:
        return None, None
    try:
        pynvml.nvmlInit()
        card = pynvml.nvmlDeviceGetMemoryInfo(pynvml.nvmlDeviceGetHandleByIndex(0))
    except pynvml.NVMLError:
        return None, None
    return card.used / GB, card.total / GB
