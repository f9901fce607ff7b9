"""Resource risks: disk space and GPU memory, from measurements and pending work."""

from collections.abc import Iterator, Sequence

from yoyak.events import CheckpointSaved, Planned, Prepared, RunStatus, SystemMetrics
from yoyak.report.model.history import RunHistory
from yoyak.report.model.report import DiskForecast, DiskSpace, Risk, Sentence

_CHECKPOINTS_KEPT = 2
"""The newest checkpoint and the one being written."""

_FULL_GPU = 0.95
_NEARLY_FULL_GPU = 0.85


def risks(runs: Sequence[RunHistory], disk: DiskForecast | None) -> Iterator[Risk]:
    """Yield the disk risk, then the GPU memory risk of each run that was measured on a GPU."""
    if disk is not None:
        yield _disk(disk)
    for run in runs:
        yield from _gpu(run)


def disk_forecast(
    runs: Sequence[RunHistory], disk: DiskSpace, workspace_gb: float
) -> DiskForecast | None:
    """Return the disk use after the pending downloads and two checkpoints of the largest size.

    The size of a checkpoint is that of a saved one, or the planned size of unfinished runs.
    ``None`` where the pending download of a base model was not recorded.
    """
    open_runs = [run for run in runs if run.status is not RunStatus.FINISHED]
    downloads = {run.recipe.model.base: download_bytes(run) for run in open_runs}
    known = [size for size in downloads.values() if size is not None]
    if len(known) < len(downloads):
        return None
    saved: list[float] = [event.size_bytes for run in runs for _, event in run.of(CheckpointSaved)]
    coming = [size for run in open_runs for size in _checkpoint_bytes(run)]
    checkpoints = _CHECKPOINTS_KEPT * max([*saved, *coming], default=0) if open_runs else 0
    return DiskForecast(
        used_gb=max(disk.used_gb - workspace_gb, 0.0),
        workspace_gb=workspace_gb,
        downloads_gb=sum(known) / 1e9,
        checkpoints_gb=checkpoints / 1e9,
        left_gb=disk.free_gb - (sum(known) + checkpoints) / 1e9,
    )


def download_bytes(run: RunHistory) -> float | None:
    """Return the bytes still to be downloaded: 0 without a base model or once training prepared.

    ``None`` where the plan did not record it.
    """
    if run.recipe.model.base is None or run.of(Prepared):
        return 0.0
    planned = run.of(Planned)
    return planned[-1][1].download_bytes if planned else None


def _checkpoint_bytes(run: RunHistory) -> Iterator[float]:
    for _, event in run.of(Planned)[-1:]:
        if event.checkpoint_bytes is not None:
            yield event.checkpoint_bytes


def _disk(disk: DiskForecast) -> Risk:
    left, coming = disk.left_gb, disk.downloads_gb + disk.checkpoints_gb
    total = disk.used_gb + disk.workspace_gb + coming + left
    level = "danger" if left < 0 else "watch" if left < 0.1 * total else "ok"
    numbers = {
        "free": left + coming,
        "downloads": disk.downloads_gb,
        "checkpoints": disk.checkpoints_gb,
        "left": left,
    }
    fields = {key: f"{value:.1f}" for key, value in numbers.items()}
    return Risk(level=level, what=Sentence(key="report.risk-disk", fields=fields), record="")


def _gpu(run: RunHistory) -> Iterator[Risk]:
    """Yield the risk of the run's highest VRAM use, with the sample that measured it."""
    seen = [
        (event.vram_used_gb / event.vram_total_gb, event, index)
        for index, event in run.of(SystemMetrics)
        if event.vram_used_gb is not None and event.vram_total_gb
    ]
    if not seen:
        return
    share, sample, index = max(seen, key=lambda one: one[0])
    level = "danger" if share > _FULL_GPU else "watch" if share > _NEARLY_FULL_GPU else "ok"
    fields = {
        "model": run.name,
        "used": f"{sample.vram_used_gb:.1f}",
        "total": f"{sample.vram_total_gb:.1f}",
    }
    what = Sentence(key="report.risk-vram", fields=fields)
    yield Risk(level=level, what=what, record=run.at(index))
