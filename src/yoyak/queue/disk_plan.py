"""How a line-up fills the disk, run by run, and what may go when."""

from collections.abc import Iterator, Mapping, Sequence

from yoyak.queue import memory
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
            yield recipe.name, "download", memory.download_bytes(shape, recipe)
        checkpoint = memory.checkpoint_bytes(shape, recipe)
        # While one is written, those that it will replace are still there.
        yield recipe.name, "checkpoints", (KEPT_CHECKPOINTS + 1) * checkpoint
        yield recipe.name, "weights", memory.final_bytes(shape, recipe)
        # Predictions and scores are stored by then; the best one stays.
        yield recipe.name, "purge-checkpoints", -KEPT_CHECKPOINTS * checkpoint
        needed_later = any(later.model.base == base for later in recipes[place + 1 :])
        if purge_bases and base is not None and not needed_later:
            yield recipe.name, "purge-base", -memory.download_bytes(shape, recipe)
