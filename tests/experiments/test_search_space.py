"""Ranges of a recipe, and their values as settings that a recipe takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from yoyak.config import load
from yoyak.config.schema import SearchRange
from yoyak.errors import BadRecipe
from yoyak.experiments.search_space import (
    contains,
    label_of,
    params_of,
    ranges_of,
    sets_of,
)

BUNDLED = [name for name in load.names() if name != "lead"]


@pytest.mark.parametrize("name", BUNDLED)
def test_the_recipe_itself_lies_in_the_usual_ranges(name):
    recipe = load.resolve(name).recipe
    ranges = ranges_of(recipe)
    assert params_of(recipe, ranges).keys() == ranges.keys()
    assert ranges["learning_rate"].log
    assert ("r" in ranges) == (recipe.lora is not None)


@pytest.mark.parametrize("name", ["kobart", "qwen3-4b", "tiny-qlora"])
@given(data=some.data())
def test_values_of_the_ranges_become_the_settings_of_a_recipe(name, data):
    recipe = load.resolve(name).recipe
    ranges = ranges_of(recipe)
    params = {key: data.draw(value_of(key, range_)) for key, range_ in ranges.items()}
    tried = load.resolve(name, sets=sets_of(recipe, params)).recipe
    assert params_of(tried, ranges) == pytest.approx(params)
    if recipe.lora is not None:
        assert tried.lora.lora_alpha == round(params["alpha_ratio"] * params["r"])


def value_of(name, range_):
    if range_.values:
        return some.sampled_from(range_.values)
    if name == "epochs":
        return some.integers(int(range_.low), int(range_.high)).map(float)
    return some.floats(range_.low, range_.high)


def test_declared_ranges_replace_the_usual_ones():
    recipe = load.resolve("kobart", sets=["search.epochs.values=[1, 2]"]).recipe
    assert ranges_of(recipe) == {"epochs": SearchRange(values=(1, 2))}
    recipe = load.resolve("kobart", sets=["search.prune=false"]).recipe
    assert "learning_rate" in ranges_of(recipe)


def test_the_rows_of_a_pass_divide_every_batch():
    sets = ["train.batch_size=8", "train.micro_batch_size=8"]
    recipe = load.resolve("kobart", sets=sets).recipe
    tried = load.resolve("kobart", sets=[*sets, *sets_of(recipe, {"batch_size": 12})]).recipe
    assert (tried.train.batch_size, tried.train.micro_batch_size) == (12, 4)


def test_a_rank_alone_keeps_the_ratio_of_alpha():
    recipe = load.resolve("qwen3-4b").recipe
    tried = load.resolve("qwen3-4b", sets=sets_of(recipe, {"r": 64})).recipe
    assert tried.lora.lora_alpha / 64 == recipe.lora.lora_alpha / recipe.lora.r


def test_what_cannot_be_searched_is_refused():
    recipe = load.resolve("kobart", sets=["search.r.values=[8, 16]"]).recipe
    with pytest.raises(BadRecipe, match=r"no \[lora\].*names r"):
        ranges_of(recipe)
    with pytest.raises(BadRecipe, match="trains nothing"):
        ranges_of(load.resolve("kobart", sets=["train.epochs=0"]).recipe)


def test_a_range_contains_its_bounds_and_whole_numbers_only_of_counts():
    epochs = SearchRange(low=1, high=4)
    assert contains("epochs", epochs, 4)
    assert not contains("epochs", epochs, 2.5)
    assert contains("warmup_ratio", epochs, 2.5)
    assert not contains("warmup_ratio", epochs, 4.1)
    assert not contains("r", SearchRange(values=(8, 16)), 12)


def test_a_label_is_short():
    assert label_of({"learning_rate": 0.000123456, "r": 16}) == "learning_rate 0.000123, r 16"
