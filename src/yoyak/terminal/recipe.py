"""Recipes as blocks: every setting with the layer that set it, and the list of all recipes."""

import re
from collections.abc import Iterator, Sequence

from yoyak.config.load import Resolved, settings_of
from yoyak.config.schema import Recipe
from yoyak.messages import speaking, text
from yoyak.planning.memory_estimate import least_training_memory
from yoyak.planning.model_shapes import shape_of
from yoyak.report.sections import format
from yoyak.report.sections.blocks import Block, Cell, Note, table
from yoyak.runs.redact import redact
from yoyak.system.probe import GB

GIB = 2**30
"""GPUs are sold by it: 24 "GB" are 24 GiB."""


def settings(resolved: Resolved) -> Iterator[Block]:
    """Yield every setting of a recipe, its value and its origin; secrets are redacted."""
    rows = (
        (
            name,
            _value(resolved.recipe, name, value),
            _origin(resolved.origins[name]),
        )
        for name, value in settings_of(resolved.recipe)
    )
    yield from table(("setting", "setting-value", "origin"), rows)


def _value(recipe: Recipe, name: str, value: object) -> str:
    if name == "about":
        return redact(about(recipe))
    return "none" if value is None else redact(str(value))


def _origin(layer: str) -> str:
    return text("report.origin-default") if layer == "default" else redact(layer)


def about(recipe: Recipe) -> str:
    """Return what a recipe is; that of a bundled one in the language in use."""
    key = f"recipes.{recipe.name}"
    try:
        with speaking("en"):
            bundled = text(key)
    except KeyError:
        return recipe.about
    return text(key) if recipe.about == bundled else recipe.about


def recipes(found: Sequence[Recipe]) -> Iterator[Block]:
    """Yield the available recipes by family and size, with what they need and whose they are."""
    columns = ("recipe", "params", "gpu-gb", "gated", "licence", "base")
    rows = (_row(one) for one in sorted(found, key=_family_and_size))
    yield from table(columns, rows)
    yield Note(text("report.recipes-note"))


def fitting(found: Sequence[Recipe], gpu_gib: float) -> list[Recipe]:
    """Return the recipes whose longest row can be trained on with so much GPU memory."""
    return [one for one in found if (need := _gpu_bytes(one)) is not None and need <= gpu_gib * GIB]


def _family_and_size(recipe: Recipe) -> tuple[str, int, str]:
    return (recipe.base.family or "", recipe.base.parameters or 0, recipe.name)


def _row(recipe: Recipe) -> tuple[Cell, ...]:
    base, need, shape = recipe.base, _gpu_bytes(recipe), shape_of(recipe)
    parameters = base.parameters or (shape.parameters if shape else None)
    return (
        recipe.name,
        format.UNKNOWN if parameters is None else _size(parameters),
        format.UNKNOWN if need is None else f"{need / GIB:.1f}",
        format.UNKNOWN if base.gated is None else text(f"report.recipes-gated-{base.gated}"),
        base.licence or format.UNKNOWN,
        recipe.model.base or re.split(r"[:.,]", about(recipe))[0],
    )


def _size(parameters: int) -> str:
    millions = round(parameters / 1e6)
    return f"{millions / 1e3:.1f}B" if millions >= 1_000 else f"{millions or '<1'}M"


def _gpu_bytes(recipe: Recipe) -> float | None:
    """Return what training needs at least, ``None`` without a model or where nothing states it."""
    shape = shape_of(recipe)
    return None if shape is None else least_training_memory(shape, recipe).total_gb * GB
