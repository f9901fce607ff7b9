"""What this machine has: GPUs, drivers, libraries, fonts; no torch is imported.

A probe that cannot answer returns ``None`` or nothing. A program gets ten seconds.
"""

import os
import platform
import pwd
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yoyak.config.schema import Recipe
from yoyak.values import Value

if TYPE_CHECKING:
    from packaging.requirements import Requirement

PROGRAM_SECONDS = 10.0
GB = 1e9
CPU_INFO = Path("/proc/cpuinfo")

_CUDA = re.compile(r"^cuda[^=]*=\s*'([\d.]+)'", re.MULTILINE)

DRIVER_OF_CUDA = {12: "525.60", 13: "580.65"}
"""Oldest Linux driver of each CUDA generation (NVIDIA, CUDA Toolkit release notes, table 3)."""


# --- GPUs ----------------------------------------------------------------------------------------


class Gpu(Value, frozen=True, kw_only=True):
    """One physical GPU as NVML describes it; GB are 1e9 bytes."""

    index: int
    """In PCI order, as ``nvidia-smi`` numbers them."""
    uuid: str
    name: str
    driver: str
    capability: float | None
    """CUDA compute capability."""
    total_gb: float
    used_gb: float
    free_gb: float

    @property
    def has_bf16(self) -> bool | None:
        """Whether it computes in bfloat16: Ampere (8.0) and later."""
        return None if self.capability is None else self.capability >= 8.0


class GpuProcess(Value, frozen=True, kw_only=True):
    """A process that holds memory of a GPU; inside containers much of it is unknown."""

    pid: int
    name: str | None
    owner: str | None
    used_gb: float | None

    def __str__(self) -> str:
        found = (self.name, self.owner, None if self.used_gb is None else f"{self.used_gb:.1f} GB")
        known = ", ".join(each for each in found if each is not None)
        return f"{self.pid} ({known})" if known else str(self.pid)


class GpuActivity(Value, frozen=True, kw_only=True):
    """What one GPU is doing now; ``None`` where it does not measure that. GB are 1e9 bytes."""

    index: int
    name: str
    busy_percent: int | None = None
    """Share of the last sample period in which a kernel ran."""
    used_gb: float | None = None
    total_gb: float | None = None
    celsius: int | None = None
    watts: float | None = None
    watts_limit: float | None = None


@contextmanager
def _nvml() -> Iterator[Any]:
    """Yield an initialised ``pynvml``; ``None`` without the library or without a driver."""
    try:
        import pynvml
    except ImportError:
        yield None
        return
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def gpus() -> tuple[Gpu, ...]:
    """Return every GPU whose memory the driver knows, in PCI order; none without a driver."""
    with _nvml() as nvml:
        if nvml is None:
            return ()
        found = (_gpu(nvml, index) for index in range(nvml.nvmlDeviceGetCount()))
        return tuple(gpu for gpu in found if gpu is not None)


def _gpu(nvml: Any, index: int) -> Gpu | None:
    """Return one GPU; ``None`` where it is lost or shares the machine's memory."""
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
        return Gpu(
            index=index,
            uuid=nvml.nvmlDeviceGetUUID(handle),
            name=nvml.nvmlDeviceGetName(handle),
            driver=nvml.nvmlSystemGetDriverVersion(),
            capability=major + minor / 10,
            total_gb=memory.total / GB,
            used_gb=memory.used / GB,
            free_gb=memory.free / GB,
        )
    except nvml.NVMLError:
        return None


def gpu_activity() -> tuple[GpuActivity, ...]:
    """Return use, memory, temperature and power of every GPU, in PCI order."""
    with _nvml() as nvml:
        if nvml is None:
            return ()
        return tuple(_activity(nvml, index) for index in range(nvml.nvmlDeviceGetCount()))


def _activity(nvml: Any, index: int) -> GpuActivity:
    """Return what one GPU answers; each question alone, as many GPUs lack a sensor."""

    def ask(question: Callable[..., Any], *more: object) -> Any:
        with suppress(nvml.NVMLError):
            return question(nvml.nvmlDeviceGetHandleByIndex(index), *more)
        return None

    memory = ask(nvml.nvmlDeviceGetMemoryInfo)
    rates = ask(nvml.nvmlDeviceGetUtilizationRates)
    power, limit = ask(nvml.nvmlDeviceGetPowerUsage), ask(nvml.nvmlDeviceGetEnforcedPowerLimit)
    return GpuActivity(
        index=index,
        name=ask(nvml.nvmlDeviceGetName) or "GPU",
        busy_percent=None if rates is None else rates.gpu,
        used_gb=None if memory is None else memory.used / GB,
        total_gb=None if memory is None else memory.total / GB,
        celsius=ask(nvml.nvmlDeviceGetTemperature, nvml.NVML_TEMPERATURE_GPU),
        watts=None if power is None else power / 1000,
        watts_limit=None if limit is None else limit / 1000,
    )


def visible_gpus(visible: str | None = None) -> tuple[Gpu, ...]:
    """Return the physical GPUs that CUDA_VISIBLE_DEVICES (or ``visible``) leaves, in its order.

    An entry is an index in PCI order, a UUID, or a prefix of exactly one UUID. As in CUDA, the
    list ends before the first entry that names no GPU; MIG instances are not resolved.
    """
    found = gpus()
    entries = os.environ.get("CUDA_VISIBLE_DEVICES") if visible is None else visible
    if entries is None:
        return found
    chosen: list[Gpu] = []
    for entry in entries.split(","):
        gpu = resolve_gpu(entry, found)
        if gpu is None:
            break
        chosen.append(gpu)
    return tuple(chosen)


def resolve_gpu(entry: str, among: Sequence[Gpu]) -> Gpu | None:
    """Return the GPU that one entry of CUDA_VISIBLE_DEVICES names; ``None`` for none or several."""
    wanted = entry.strip()
    if wanted.isdecimal():
        matches = [gpu for gpu in among if gpu.index == int(wanted)]
    else:
        matches = [gpu for gpu in among if wanted and gpu.uuid.startswith(wanted)]
    return matches[0] if len(matches) == 1 else None


def gpu_processes(gpu: Gpu) -> tuple[GpuProcess, ...]:
    """Return who holds memory of a GPU."""
    with _nvml() as nvml:
        if nvml is None:
            return ()
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(gpu.index)
            running = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
        except nvml.NVMLError:
            return ()
    return tuple(_gpu_process(each.pid, each.usedGpuMemory) for each in running)


def _gpu_process(pid: int, used_bytes: int | None) -> GpuProcess:
    import psutil

    name = owner = None
    with suppress(psutil.Error, OSError):  # it has ended, or belongs to another container
        process = psutil.Process(pid)
        name = process.name()
        owner = pwd.getpwuid(process.uids().real).pw_name
    return GpuProcess(
        pid=pid, name=name, owner=owner, used_gb=None if used_bytes is None else used_bytes / GB
    )


# --- processor and libraries ---------------------------------------------------------------------


def processor() -> str:
    """Return the processor's name."""
    if CPU_INFO.is_file():
        for line in CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def computes_bf16() -> bool | None:
    """Return whether what a worker computes on has bfloat16: the first visible GPU, or the CPU."""
    gpu = next(iter(visible_gpus()), None)
    if gpu is not None:
        return gpu.has_bf16
    if not CPU_INFO.is_file():
        return None
    flags = CPU_INFO.read_text(encoding="utf-8", errors="replace").split()
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags)


def physical_cores() -> int:
    """Return the physical cores that this process may use; 1 where they cannot be counted."""
    import psutil

    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(psutil.cpu_count(logical=False) or 1, allowed or 1)


def threads_for(recipe: Recipe) -> int:
    """Return how many threads a worker computes with: OMP_NUM_THREADS, else one per core.

    A model from scratch gets one thread: its matrices are too small for a second one to gain more
    than a fifth on an idle machine, and on a busy one it mostly waits.
    """
    said = os.environ.get("OMP_NUM_THREADS", "")
    if said.isdecimal():
        return int(said)
    return 1 if recipe.model.scratch is not None else os.cpu_count() or 1


def torch_cuda() -> str | None:
    """Return the CUDA version that the installed torch was built for; ``None`` for a CPU build."""
    found = util.find_spec("torch")
    if found is None or found.origin is None:
        return None
    version = Path(found.origin).with_name("version.py")
    built = _CUDA.search(version.read_text(encoding="utf-8")) if version.is_file() else None
    return built[1] if built else None


def extras() -> list[str]:
    """Return the names of the package's extras, in the order of its metadata."""
    return metadata.metadata("yoyak").get_all("Provides-Extra") or []


def requirements(extra: str | None) -> Iterator["Requirement"]:
    """Yield what the package needs on this Python, always (``None``) or for one of its extras."""
    from packaging.requirements import Requirement

    for line in metadata.requires("yoyak") or ():
        needed = Requirement(line)
        always = needed.marker is None or needed.marker.evaluate({"extra": ""})
        if always if extra is None else _is_of_extra(needed, extra):
            yield needed


def _is_of_extra(needed: "Requirement", extra: str) -> bool:
    marker = needed.marker
    return (
        marker is not None
        and marker.evaluate({"extra": extra})
        and not marker.evaluate({"extra": ""})
    )


def installed(name: str) -> str | None:
    """Return the version of a distribution, ``None`` where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


# --- fonts ---------------------------------------------------------------------------------------


def korean_fonts() -> tuple[str, ...] | None:
    """Return font families with Hangul; ``None`` where fontconfig is not there to ask."""
    try:
        done = subprocess.run(
            ["fc-list", ":lang=ko", "family"],
            capture_output=True, check=True, timeout=PROGRAM_SECONDS, text=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return tuple(sorted(set(done.stdout.strip().splitlines())))
