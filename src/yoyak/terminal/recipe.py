"""Recipes as blocks: every setting with the layer that set it, and the list of all recipes."""

from collections.abc import Iterator, Sequence

from yoyak.config.load import Resolved, settings_of
from yoyak.config.schema import Recipe
from yoyak.report.sections import format
from yoyak.report.sections.blocks import Block, table
from yoyak.runs.redact import redact


def settings(resolved: Resolved) -> Iterator[Block]:
    """Yield every setting of a recipe, its value and its origin; secrets are redacted."""
    rows = (
        (
            name,
            "none" if value is None else redact(str(value)),
            redact(resolved.origins[name]),
        )
        for name, value in settings_of(resolved.recipe)
    )
    yield from table(("setting", "setting-value", "origin"), rows)


def recipes(found: Sequence[Recipe]) -> Iterator[Block]:
    """Yield the available recipes."""
    rows = ((one.name, one.model.base or format.UNKNOWN, one.about) for one in found)
    yield from table(("recipe", "base", "about"), rows)
