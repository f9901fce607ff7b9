"""How a line-up fills the disk, run by run, and what may be deleted when."""

from collections.abc import Sequence
from pathlib import Path

from yoyak.config.schema import Recipe
from yoyak.planning.memory_estimate import optimizer_bytes, trainable_parameters
from yoyak.planning.model_shapes import KnownModel, ModelShape
from yoyak.system.probe import GB
from yoyak.values import Value

KEPT_CHECKPOINTS = 3
"""Best, last and previous."""


class DiskStep(Value, frozen=True, kw_only=True):
    """One change of what the line-up holds on the disk; ``total_gb`` is after it."""

    recipe: str
    what: str
    change_gb: float
    total_gb: float


def checkpoint_bytes(shape: ModelShape, recipe: Recipe) -> float:
    """Return the size of a checkpoint: trainable parameters, moments and moving average."""
    return (4.0 + optimizer_bytes(recipe)) * trainable_parameters(shape, recipe)


def plan_disk(models: Sequence[KnownModel], *, purge_bases: bool) -> tuple[DiskStep, ...]:
    """Return every step, in order; a model of unknown shape takes no part."""
    steps: list[DiskStep] = []
    for number, model in enumerate(models):
        recipe, shape, base = model.recipe, model.shape, model.recipe.model.base
        if shape is None:
            continue
        changes: dict[str, float] = {}
        is_first = all(earlier.recipe.model.base != base for earlier in models[:number])
        if model.download_bytes and is_first:
            changes["download"] = model.download_bytes
        if recipe.train.epochs:
            checkpoint = checkpoint_bytes(shape, recipe)
            # Metric-aware training leaves what it began from as it is.
            stages = 1 if recipe.align is None else 2
            # While one is written, those that it will replace are still there.
            changes["checkpoints"] = (stages * KEPT_CHECKPOINTS + 1) * checkpoint
            changes["weights"] = stages * 4.0 * trainable_parameters(shape, recipe)
            # Predictions and scores are stored by then; the best one stays.
            changes["purge-checkpoints"] = -stages * KEPT_CHECKPOINTS * checkpoint
        is_last = all(later.recipe.model.base != base for later in models[number + 1 :])
        if purge_bases and is_last and _may_purge(recipe):
            changes["purge-base"] = -model.base_bytes
        for what, change in changes.items():
            total = (steps[-1].total_gb if steps else 0.0) + change / GB
            steps.append(
                DiskStep(recipe=recipe.name, what=what, change_gb=change / GB, total_gb=total)
            )
    return tuple(steps)


def peak_gb(steps: Sequence[DiskStep]) -> float:
    """Return the most that the line-up adds to the disk at any moment."""
    return max((step.total_gb for step in steps), default=0.0)


def _may_purge(recipe: Recipe) -> bool:
    """Return what prune would: a local folder is not ours, a pinned revision is deliberate."""
    base = recipe.model.base
    return base is not None and recipe.model.revision is None and not Path(base).is_dir()
