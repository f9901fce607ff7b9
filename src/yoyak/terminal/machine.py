"""What the machine is doing, in a few lines: GPUs through NVML, processor, memory, disk."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from yoyak.messages import text
from yoyak.report.render.escape import plain
from yoyak.system.probe import GB, GpuActivity, gpu_activity

if TYPE_CHECKING:
    from rich.text import Text

_SEPARATOR = "  ·  "


class MachineReading(NamedTuple):
    """One moment of the machine; GB are 1e9 bytes."""

    gpus: tuple[GpuActivity, ...]
    cpu_percent: float
    ram_used_gb: float
    ram_total_gb: float
    disk_used_gb: float
    disk_total_gb: float


def read_machine(folder: Path) -> MachineReading:
    """Measure now; the processor's use is that since the last call, the disk that of ``folder``."""
    import psutil

    memory = psutil.virtual_memory()
    while not folder.exists():
        folder = folder.parent
    disk = shutil.disk_usage(folder)
    return MachineReading(
        gpu_activity(),
        psutil.cpu_percent(),
        (memory.total - memory.available) / GB,
        memory.total / GB,
        disk.used / GB,
        # Without the blocks reserved for root, as df counts them.
        (disk.used + disk.free) / GB,
    )


def machine_lines(reading: MachineReading) -> "Text":
    """Return a line for each GPU, then one for the rest; what is not measured is left out."""
    from rich.text import Text

    rest = [
        *([] if reading.gpus else [text("watch.no-gpu")]),
        text("watch.cpu", percent=f"{reading.cpu_percent:.0f}"),
        _amount("watch.ram", reading.ram_used_gb, reading.ram_total_gb),
        _amount("watch.disk", reading.disk_used_gb, reading.disk_total_gb),
    ]
    lines = [*(_SEPARATOR.join(_gpu_parts(gpu)) for gpu in reading.gpus), _SEPARATOR.join(rest)]
    return Text("\n".join(lines))


def _amount(key: str, used_gb: float, total_gb: float) -> str:
    return text(key, used=f"{used_gb:.1f}", total=f"{total_gb:.1f}")


def _gpu_parts(gpu: GpuActivity) -> Iterator[str]:
    yield text("watch.gpu", index=gpu.index, name=plain(gpu.name))
    if gpu.busy_percent is not None:
        yield text("watch.gpu-busy", percent=gpu.busy_percent)
    if gpu.used_gb is not None and gpu.total_gb is not None:
        yield _amount("watch.gpu-memory", gpu.used_gb, gpu.total_gb)
    if gpu.celsius is not None:
        yield text("watch.gpu-temperature", celsius=gpu.celsius)
    if gpu.watts is not None:
        watts = f"{gpu.watts:.0f}"
        if gpu.watts_limit is None:
            yield text("watch.gpu-power", watts=watts)
        else:
            yield text("watch.gpu-power-of", watts=watts, limit=f"{gpu.watts_limit:.0f}")
