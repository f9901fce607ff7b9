"""From names of recipes to runs in the workspace: found where they exist, else created."""

import time
from collections.abc import Iterable

import msgspec

from yoyak import recipes
from yoyak.engine import ENGINES
from yoyak.errors import BadRecipe
from yoyak.events import Queued
from yoyak.queue import provenance
from yoyak.recipe import Recipe
from yoyak.store.project import Project
from yoyak.store.run import Run
from yoyak.store.workspace import Workspace
from yoyak.values import Corpus


def prepare(
    workspace: Workspace,
    corpus: Corpus,
    names: Iterable[str],
    project: Project,
    sets: Iterable[str],
) -> list[Run]:
    """The run of each recipe on this data, in order; all recipes are checked before any is made.

    Raises:
        BadRecipe: a recipe or setting is wrong, or one is named twice; nothing was written.
    """
    sets = tuple(sets)
    resolved = [recipes.resolve(name, project=project.layers, sets=sets).recipe for name in names]
    _refuse_twice([recipe.name for recipe in resolved])
    for recipe in resolved:
        _check_engine(recipe)
    return [_run(workspace, corpus, recipe) for recipe in resolved]


def _run(workspace: Workspace, corpus: Corpus, recipe: Recipe) -> Run:
    found = workspace.find(recipe, corpus)
    if found is None:
        origin = msgspec.json.format(msgspec.json.encode(provenance.gather(corpus)), indent=1)
        run = workspace.create(recipe, corpus, origin)
        run.emit(Queued(at=time.time(), recipe=recipe.name))
        return run
    if found.recipe != recipe:
        found.write_recipe(recipe)
    return found


def _refuse_twice(names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadRecipe("queue.recipe-twice", recipes=", ".join(twice))


def _check_engine(recipe: Recipe) -> None:
    if recipe.engine not in ENGINES and ":" not in recipe.engine:
        raise BadRecipe("engine.unknown", engine=recipe.engine, known=", ".join(ENGINES))
