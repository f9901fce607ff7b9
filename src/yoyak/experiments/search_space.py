"""The settings that a study of training varies: ranges by name, and values as settings.

The usual ranges depend on the method. Learning rates reach five times below and above the recipe's
own: variants of LoRA differ by 1 to 2 % once the rate is right (arXiv 2602.04998), and a wrong
rate costs more than any of them.
"""

from collections.abc import Mapping
from math import gcd

from yoyak.config.schema import LoraSettings, Recipe, SearchRange, SearchSettings
from yoyak.errors import BadRecipe

ALPHA_RATIO = "alpha_ratio"
_LORA = ("r", ALPHA_RATIO, "lora_dropout")
_INTEGERS = frozenset({"epochs", "batch_size", "r"})
_FACTOR = 5.0


def ranges_of(recipe: Recipe) -> dict[str, SearchRange]:
    """Return the ranges of the recipe's ``[search]``, or the usual ones of its method.

    Raises:
        BadRecipe: a setting of LoRA is searched in a recipe without adapters, or nothing is.
    """
    declared = _declared(recipe.search)
    if recipe.train.epochs == 0:
        raise BadRecipe("experiments.nothing-trained", recipe=recipe.name)
    if recipe.lora is None and (wrong := [name for name in _LORA if name in declared]):
        raise BadRecipe("experiments.no-lora", recipe=recipe.name, names=", ".join(wrong))
    return declared or _usual(recipe)


def _declared(search: SearchSettings | None) -> dict[str, SearchRange]:
    fields = SearchSettings.__struct_fields__ if search is not None else ()
    found = {name: getattr(search, name) for name in fields}
    return {name: value for name, value in found.items() if isinstance(value, SearchRange)}


def _usual(recipe: Recipe) -> dict[str, SearchRange]:
    train, lora = recipe.train, recipe.lora
    rate, epochs, batch = train.learning_rate, train.epochs, train.batch_size
    found = {
        "learning_rate": SearchRange(low=rate / _FACTOR, high=rate * _FACTOR, log=True),
        "batch_size": SearchRange(values=tuple(sorted({max(1, batch // 2), batch, 2 * batch}))),
        "warmup_ratio": SearchRange(low=0.0, high=0.2),
    }
    if train.max_steps is None and epochs > 1:
        found["epochs"] = SearchRange(low=max(1, epochs // 2), high=2 * epochs)
    if lora is None:
        found["weight_decay"] = SearchRange(low=0.0, high=0.1)
        found["label_smoothing"] = SearchRange(low=0.0, high=0.2)
    else:
        found["r"] = SearchRange(values=tuple(sorted({8, 16, 32, 64} | {lora.r})))
        ratio = lora.lora_alpha / lora.r
        found[ALPHA_RATIO] = SearchRange(values=tuple(sorted({1.0, 2.0, 4.0} | {ratio})))
        dropouts = tuple(sorted({0.0, 0.05, 0.1} | {lora.lora_dropout}))
        found["lora_dropout"] = SearchRange(values=dropouts)
        noises = tuple(sorted({0.0, 5.0} | {train.neftune_noise_alpha or 0.0}))
        found["neftune_noise_alpha"] = SearchRange(values=noises)
    return found


def is_integer(name: str) -> bool:
    """Return whether values of that range are whole numbers."""
    return name in _INTEGERS


def contains(name: str, range_: SearchRange, value: float) -> bool:
    """Return whether a study with that range could try ``value``."""
    if range_.values:
        return value in range_.values
    within = (range_.low or 0.0) <= value <= (range_.high or 0.0)
    return within and (float(value).is_integer() or not is_integer(name))


def params_of(recipe: Recipe, ranges: Mapping[str, SearchRange]) -> dict[str, float]:
    """Return the recipe's own values of the ranges, as far as the ranges contain them."""
    found = {}
    for name, range_ in ranges.items():
        value = _own(recipe, name)
        if contains(name, range_, value):
            found[name] = value
    return found


def _own(recipe: Recipe, name: str) -> float:
    lora = recipe.lora or LoraSettings()
    if name == ALPHA_RATIO:
        return lora.lora_alpha / lora.r
    # A switch that is off, as NEFTune is where a recipe does not name it, has no strength.
    return float(getattr(lora if name in _LORA else recipe.train, name) or 0.0)


def sets_of(recipe: Recipe, params: Mapping[str, float]) -> tuple[str, ...]:
    """Return ``params`` as settings over ``recipe``.

    The rows of a forward pass shrink where the batch is no multiple of them; ``lora_alpha`` follows
    rank and ratio.
    """
    sets = {_key(name): value for name, value in params.items() if name != ALPHA_RATIO}
    micro, batch = recipe.train.micro_batch_size, params.get("batch_size")
    if micro is not None and batch is not None:
        sets["train.micro_batch_size"] = gcd(micro, int(batch))
    if recipe.lora is not None and params.keys() & {"r", ALPHA_RATIO}:
        rank = params.get("r", recipe.lora.r)
        ratio = params.get(ALPHA_RATIO, recipe.lora.lora_alpha / recipe.lora.r)
        sets["lora.lora_alpha"] = max(1, round(rank * ratio))
    return tuple(f"{key}={_written(key, value)}" for key, value in sets.items())


def _key(name: str) -> str:
    return f"{'lora' if name in _LORA else 'train'}.{name}"


def _written(key: str, value: float) -> str:
    if key == "train.neftune_noise_alpha" and not value:
        return "none"
    is_whole = key.partition(".")[2] in {*_INTEGERS, "micro_batch_size", "lora_alpha"}
    return str(int(value)) if is_whole else repr(float(value))


def label_of(params: Mapping[str, float]) -> str:
    """Return the values on one line: ``learning_rate 0.000321, r 16``."""
    return ", ".join(f"{name} {value:.3g}" for name, value in params.items())
