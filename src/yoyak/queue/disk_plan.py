"""How a line-up fills the disk, run by run, and what may go when."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from yoyak.config.schema import Recipe
from yoyak.queue import machine, memory
from yoyak.queue.memory import GB
from yoyak.queue.shapes import Shape
from yoyak.values import Value

KEPT_CHECKPOINTS = 3
"""Best, last and previous."""


class Held(NamedTuple):
    """What a run that goes on has on the disk already."""

    size_bytes: float = 0.0
    """Its checkpoints and weights."""
    trained: bool = False
    """It writes no more of them."""


NOTHING_HELD: Mapping[str, Held] = {}


class DiskStep(Value, frozen=True, kw_only=True):
    """One change of what the line-up holds on the disk; ``total_gb`` is after it."""

    recipe: str
    what: str
    change_gb: float
    total_gb: float


def plan_disk(
    recipes: Sequence[Recipe],
    shapes: Mapping[str, Shape | None],
    *,
    purge_bases: bool,
    held: Mapping[str, Held] = NOTHING_HELD,
) -> tuple[DiskStep, ...]:
    """Every step, in order; a model of unknown shape takes no part.

    ``held`` is by recipe, of runs that go on: it lies on the disk, so it is not counted again.
    """
    steps: list[DiskStep] = []
    total = 0.0
    for recipe, what, change in _changes(recipes, shapes, purge_bases, held):
        total += change / GB
        steps.append(DiskStep(recipe=recipe, what=what, change_gb=change / GB, total_gb=total))
    return tuple(steps)


def _changes(
    recipes: Sequence[Recipe],
    shapes: Mapping[str, Shape | None],
    purge_bases: bool,
    held: Mapping[str, Held],
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
        there = held.get(recipe.name, Held())
        if not there.trained:
            yield from _learning(recipe, shape, there.size_bytes)
        needed_later = any(later.model.base == base for later in recipes[place + 1 :])
        if purge_bases and _may_go(recipe) and not needed_later:
            yield recipe.name, "purge-base", -memory.download_bytes(shape, recipe)


def _learning(recipe: Recipe, shape: Shape, there: float) -> Iterator[tuple[str, str, float]]:
    checkpoint = memory.checkpoint_bytes(shape, recipe)
    # While one is written, those that it will replace are still there.
    yield recipe.name, "checkpoints", max(0.0, (KEPT_CHECKPOINTS + 1) * checkpoint - there)
    yield recipe.name, "weights", memory.final_bytes(shape, recipe)
    # Predictions and scores are stored by then; the best one stays.
    yield recipe.name, "purge-checkpoints", -KEPT_CHECKPOINTS * checkpoint


def download_bytes(shape: Shape, recipe: Recipe) -> float:
    """What the base takes beside what is here: nothing if its folder or the cache holds it."""
    base = recipe.model.base
    here = base is None or Path(base).is_dir() or machine.cached_model(base) is not None
    return 0.0 if here else memory.download_bytes(shape, recipe)


def _may_go(recipe: Recipe) -> bool:
    """As prune sees it: a local folder is not ours, and a pinned revision is somebody's choice."""
    model = recipe.model
    return model.base is not None and model.revision is None and not Path(model.base).is_dir()
