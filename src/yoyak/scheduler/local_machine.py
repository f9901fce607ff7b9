"""Start the workers of runs on the GPUs and cores of this machine."""

import os
from collections.abc import Sequence
from pathlib import Path

from yoyak.errors import Unavailable
from yoyak.runs.run import Run
from yoyak.scheduler.placement import Worker
from yoyak.scheduler.worker_process import WorkerProcess
from yoyak.system.probe import gpus as visible_gpus
from yoyak.system.probe import physical_cores


class LocalMachine:
    """One run per GPU, or per group of GPUs; without a GPU one at a time, but toys one per core.

    A toy model computes on one thread of a CPU, so that its result does not depend on its
    neighbours; a model of a real size gets all cores for itself.

    Args:
        gpus: CUDA_VISIBLE_DEVICES of each process that may run at a time; default: one entry per
            visible GPU.
        cores: how many processes of toy models may run at a time where there is no GPU; default:
            the physical cores.
        processes: that train one run together, each with a GPU of its own.

    Raises:
        Unavailable: there are fewer GPUs than processes.
    """

    def __init__(
        self,
        gpus: Sequence[str | None] | None = None,
        cores: int | None = None,
        processes: int = 1,
    ) -> None:
        entries = gpu_entries() if gpus is None else tuple(gpus)
        self._gpus = _groups(entries, processes)
        self._cores = physical_cores() if cores is None else cores
        self._processes = processes

    @property
    def width(self) -> int:
        """How many models of a real size can be trained at a time."""
        return len(self._gpus)

    def has_room(self, run: Run, workers: Sequence[Worker]) -> bool:
        """Return whether a GPU is free; without GPUs, whether a core is, and all are toy models."""
        if self._free_gpus(workers):
            return True
        runs = (run, *(worker.run for worker in workers))
        fits_cores = self._gpus == (None,) and len(runs) * self._processes <= self._cores
        return fits_cores and all(one.recipe.model.scratch is not None for one in runs)

    def start(self, run: Run, data_folder: Path, workers: Sequence[Worker]) -> Worker:
        """Start a worker on a free GPU."""
        gpu = next(iter(self._free_gpus(workers)), None)
        return WorkerProcess(run, data_folder, gpu, self._processes)

    def _free_gpus(self, workers: Sequence[Worker]) -> list[str | None]:
        taken = [worker.gpu for worker in workers if isinstance(worker, WorkerProcess)]
        return [gpu for gpu in self._gpus if gpu not in taken]


def _groups(entries: Sequence[str | None], size: int) -> tuple[str | None, ...]:
    """Return CUDA_VISIBLE_DEVICES of each run; GPUs that fill no group stay idle."""
    names = [entry for entry in entries if entry is not None]
    if size == 1 or not names:
        return tuple(entries)
    if len(names) < size:
        raise Unavailable("scheduler.too-few-gpus", found=len(names), processes=size)
    return tuple(",".join(names[at : at + size]) for at in range(0, len(names) - size + 1, size))


def gpu_entries() -> tuple[str | None, ...]:
    """Return one CUDA_VISIBLE_DEVICES entry per usable GPU; ``(None,)`` where there is none."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return tuple(entry.strip() for entry in named.split(",") if entry.strip()) or (None,)
    return tuple(str(gpu.index) for gpu in visible_gpus()) or (None,)
