"""Propose a first line-up for the GPU that is there: what fits its memory and one night."""

from collections.abc import Sequence

from yoyak.config.schema import Recipe
from yoyak.planning.gpu_catalogue import GpuSpec
from yoyak.planning.memory_estimate import least_training_memory
from yoyak.planning.model_shapes import KnownModel, shape_of
from yoyak.planning.plan import PlanTarget, plan_known
from yoyak.values import Corpus

NIGHT_SECONDS = 10 * 3600.0
MODEL_SECONDS = 3 * 3600.0
"""Most that one model may take, so that a night holds several to compare."""
MODELS = 3
SMALL_MEMORY_SHARE = 0.25
"""Share of a GPU that a model may need where the GPU's speed is not known."""


def propose_lineup(recipes: Sequence[Recipe], corpus: Corpus, gpu: GpuSpec) -> tuple[str, ...]:
    """Return recipes in the order in which they should run, the quickest first.

    They are ``lead`` and the largest model of each family, up to ``MODELS``, among the bases that
    the hub gives to everybody and whose size is known; the smallest encoder-decoder is always
    among them, because it is the first to give a score. Times are the slower of the plan's.
    """
    chosen: dict[str, tuple[float, str]] = {}
    left = NIGHT_SECONDS
    free = [recipe for recipe in recipes if recipe.base.gated is False and recipe.base.parameters]
    by_size = sorted(free, key=lambda recipe: -(recipe.base.parameters or 0))
    quickest = [recipe for recipe in reversed(by_size) if recipe.engine == "seq2seq"][:1]
    for recipe in (*quickest, *by_size):
        seconds = _seconds(recipe, corpus, gpu)
        family = recipe.base.family or recipe.name
        if family in chosen or seconds is None or seconds > min(left, MODEL_SECONDS):
            continue
        chosen[family] = (seconds, recipe.name)
        left -= seconds
        if len(chosen) == MODELS:
            break
    return ("lead", *(name for _, name in sorted(chosen.values())))


def _seconds(recipe: Recipe, corpus: Corpus, gpu: GpuSpec) -> float | None:
    """Return how long a recipe takes at most, 0 if unknown; ``None`` if it does not fit."""
    shape = shape_of(recipe)
    if shape is None:
        return None
    made = plan_known([KnownModel(recipe, None, shape)], corpus, PlanTarget(gpu, None, 0.0))
    memory_gb = least_training_memory(shape, recipe).total_gb
    if made.recipes[0].forward_pass is None:
        return None
    if made.time is None:
        return 0.0 if memory_gb <= SMALL_MEMORY_SHARE * gpu.memory_gb else None
    return made.time.high_seconds
