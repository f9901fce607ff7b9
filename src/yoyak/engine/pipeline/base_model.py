"""Find the base model that a recipe names, or build it from scratch."""

from pathlib import Path

from yoyak.config.schema import Recipe
from yoyak.engine.base_facts import is_local, require_base
from yoyak.engine.models.load import SCRATCH, BaseModel
from yoyak.engine.pipeline.scratch_model import ensure_base
from yoyak.errors import BadRecipe
from yoyak.files import atomic
from yoyak.values import Split


def find_base(recipe: Recipe, train: Split, folder: Path) -> BaseModel:
    """Find the recipe's base model; build one from scratch into ``folder`` if it is not there.

    Raises:
        BadData, BadRecipe, InputMissing, Unavailable: the recipe names no base, or one that no run
            can use.
    """
    model = recipe.model
    if model.scratch is not None:
        scratch = folder / SCRATCH
        ensure_base(recipe, model.scratch, train, scratch)
        return BaseModel(str(scratch), None, _folder_sha256(scratch))
    if model.base is None:
        raise BadRecipe("engine.no-base", recipe=recipe.name)
    facts = require_base(recipe)
    if facts.folder is not None and is_local(model.base):
        return BaseModel(model.base, None, _folder_sha256(facts.folder))
    commit = facts.commit or model.revision
    return BaseModel(model.base, commit, atomic.sha256_of(model.base, commit))


def _folder_sha256(folder: Path) -> str:
    """Hash the configuration's content and the weights' names and sizes; read no gigabytes."""
    weights = sorted(
        (path.name, path.stat().st_size)
        for pattern in ("*.safetensors", "*.bin")
        for path in folder.glob(pattern)
    )
    return atomic.sha256_of(atomic.sha256_file(folder / "config.json"), weights)
