"""Print a recipe: every setting, its value, and the layer that set it."""

import sys
from collections.abc import Sequence

from yoyak.config.load import Resolved, settings_of
from yoyak.config.schema import Recipe
from yoyak.messages import text
from yoyak.runs.redact import redact
from yoyak.terminal.status import console


def draw_settings(resolved: Resolved) -> None:
    """Print the settings of one recipe to stdout, one per line."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for key in ("setting", "value", "origin"):
        table.add_column(text(f"report.show-{key}"), overflow="fold")
    for name, value in settings_of(resolved.recipe):
        origin = redact(resolved.origins[name])
        table.add_row(name, _shown(value), origin, style="dim" if origin == "default" else None)
    console(sys.stdout).print(table)


def draw_recipes(recipes: Sequence[Recipe]) -> None:
    """Print the available recipes to stdout, one per line."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for key in ("recipe", "base", "about"):
        table.add_column(text(f"report.show-{key}"), overflow="fold")
    for recipe in recipes:
        table.add_row(recipe.name, recipe.model.base or "–", recipe.about)
    console(sys.stdout).print(table)


def _shown(value: object) -> str:
    return "none" if value is None else redact(str(value))
