"""What can stop the work: the disk and the card, from what was measured and what is to come."""

from collections.abc import Iterator, Sequence

from yoyak.config.schema import Recipe
from yoyak.events import CheckpointSaved, RunStatus, SystemMetrics
from yoyak.planning.disk_estimate import checkpoint_bytes
from yoyak.planning.model_shapes import shape_of
from yoyak.report.model.consistency import BYTES_PER_WEIGHT, is_downloaded
from yoyak.report.model.history import RunHistory
from yoyak.report.model.values import DiskForecast, DiskSpace, Risk, Sentence

_CHECKPOINTS_KEPT = 2
"""The newest and the one being written."""

_FULL_CARD = 0.95
_NEAR_CARD = 0.85


def risks(runs: Sequence[RunHistory], disk: DiskForecast | None) -> Iterator[Risk]:
    """The forecast of the disk, then of the card for each run that was measured on one."""
    if disk is not None:
        yield _disk(disk)
    for run in runs:
        yield from _card(run)


def disk_forecast(runs: Sequence[RunHistory], disk: DiskSpace, workspace_gb: float) -> DiskForecast:
    """Free space against downloads to come and two checkpoints of the largest kind.

    How large one is, a run has shown, or the plan's arithmetic says it of those to come.
    """
    open_runs = [run for run in runs if run.status is not RunStatus.FINISHED]
    downloads = sum(
        BYTES_PER_WEIGHT * (run.recipe.model.parameters or 0)
        for run in open_runs
        if not is_downloaded(run.recipe)
    )
    saved = [event.size_bytes for run in runs for _, event in run.of(CheckpointSaved)]
    coming = [_checkpoint_bytes(run.recipe) for run in open_runs]
    checkpoints = _CHECKPOINTS_KEPT * max([*saved, *coming], default=0) if open_runs else 0
    return DiskForecast(
        used_gb=max(disk.total_gb - disk.free_gb - workspace_gb, 0.0),
        workspace_gb=workspace_gb,
        downloads_gb=downloads / 1e9,
        checkpoints_gb=checkpoints / 1e9,
        left_gb=disk.free_gb - (downloads + checkpoints) / 1e9,
    )


def _checkpoint_bytes(recipe: Recipe) -> float:
    """By arithmetic; nothing for a recipe that has no model or trains none."""
    shape = shape_of(recipe)
    return checkpoint_bytes(shape, recipe) if shape is not None and recipe.train.epochs else 0.0


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


def _card(run: RunHistory) -> Iterator[Risk]:
    """The highest VRAM of a run, with the sample that saw it."""
    seen = [
        (event.vram_used_gb / event.vram_total_gb, event, index)
        for index, event in run.of(SystemMetrics)
        if event.vram_used_gb is not None and event.vram_total_gb
    ]
    if not seen:
        return
    share, sample, index = max(seen, key=lambda one: one[0])
    level = "danger" if share > _FULL_CARD else "watch" if share > _NEAR_CARD else "ok"
    fields = {
        "model": run.name,
        "used": f"{sample.vram_used_gb:.1f}",
        "total": f"{sample.vram_total_gb:.1f}",
    }
    what = Sentence(key="report.risk-vram", fields=fields)
    yield Risk(level=level, what=what, record=run.at(index))
