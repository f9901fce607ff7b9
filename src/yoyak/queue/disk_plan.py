"""How a line-up fills the disk, run by run, and what may go when."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from yoyak.queue import machine, memory
from yoyak.queue.memory import GB
from yoyak.queue.shapes import Shape
from yoyak.recipe import Recipe
from yoyak.values import Value

KEPT_CHECKPOINTS = 3
"""Best, last and previous."""


class DiskStep(Value, frozen=True, kw_only=True):
    """One change of what the line-up holds on the disk; ``total_gb`` is after it."""

    recipe: str
    what: str
    change_gb: float
    total_gb: float


def plan_disk(
    recipes: Sequence[Recipe], shapes: Mapping[str, Shape | None], *, purge_bases: bool
) -> tuple[DiskStep, ...]:
    """Every step, in order; a model of unknown shape takes no part."""
    steps: list[DiskStep] = []
    total = 0.0
    for recipe, what, change in _changes(recipes, shapes, purge_bases):
        total += change / GB
        steps.append(DiskStep(recipe=recipe, what=what, change_gb=change / GB, total_gb=total))
    return tuple(steps)


def _changes(
    recipes: Sequence[Recipe], shapes: Mapping[str, Shape | None], purge_bases: bool
) -> Iterator[tuple[str, str, float]]:
    bases: set[str] = set()
    for place, recipe in enumerate(recipes):
        shape = shapes[recipe.name]
        if shape is None:
            continue
        base = recipe.model.base
        if base is not None and base not in bases:
            bases.add(base)
            if missing := download_bytes(shape, recipe):
                yield recipe.name, "download", missing
        checkpoint = memory.checkpoint_bytes(shape, recipe)
        # While one is written, those that it will replace are still there.
        yield recipe.name, "checkpoints", (KEPT_CHECKPOINTS + 1) * checkpoint
        yield recipe.name, "weights", memory.final_bytes(shape, recipe)
        # Predictions and scores are stored by then; the best one stays.
        yield recipe.name, "purge-checkpoints", -KEPT_CHECKPOINTS * checkpoint
        needed_later = any(later.model.base == base for later in recipes[place + 1 :])
        if purge_bases and _may_go(recipe) and not needed_later:
            yield recipe.name, "purge-base", -memory.download_bytes(shape, recipe)


def download_bytes(shape: Shape, recipe: Recipe) -> float:
    """What the base takes beside what is here: nothing if its folder or the cache holds it."""
    base = recipe.model.base
    here = base is None or Path(base).is_dir() or machine.cached_model(base) is not None
    return 0.0 if here else memory.download_bytes(shape, recipe)


def _may_go(recipe: Recipe) -> bool:
    """As prune sees it: a local folder is not ours, and a pinned revision is somebody's choice."""
    model = recipe.model
    return model.base is not None and model.revision is None and not Path(model.base).is_dir()
