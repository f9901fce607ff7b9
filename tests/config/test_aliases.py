"""Settings under their former names, and under those of transformers, PEFT and TRL."""

import pytest

from yoyak.config import load
from yoyak.config.aliases import ALIASES, UNSUPPORTED, recorded_settings, with_current_names
from yoyak.config.schema import (
    BeamSearch,
    EvaluateSettings,
    GenerateSettings,
    Greedy,
    LoraSettings,
    ModelSettings,
    PromptSettings,
    PublishedBase,
    Sampling,
    TrainSettings,
)
from yoyak.errors import BadRecipe

SETTINGS = {
    f"{section}.{name}"
    for section, kinds in {
        "train": (TrainSettings,),
        "lora": (LoraSettings,),
        "model": (ModelSettings,),
        "base": (PublishedBase,),
        "prompt": (PromptSettings,),
        "evaluate": (EvaluateSettings,),
        "generate": (GenerateSettings,),
        "decode": (Greedy, BeamSearch, Sampling),
    }.items()
    for kind in kinds
    for name in kind.__struct_fields__
}


def test_every_alias_leads_to_a_setting_and_hides_none():
    assert set(ALIASES.values()) <= SETTINGS
    assert not SETTINGS & ALIASES.keys()
    assert not (SETTINGS | ALIASES.keys()) & UNSUPPORTED.keys()


def test_a_renamed_setting_is_named_with_its_layer():
    found = load.resolve(
        "qwen3-4b",
        project={"recipes": {"qwen3-4b": {"lora": {"rank": 4}}}},
        sets=["train.num_train_epochs=2", "train.early_stopping_patience=5"],
    )
    assert found.recipe.lora is not None
    assert (found.recipe.lora.r, found.recipe.train.epochs) == (4, 2)
    assert found.recipe.evaluate.patience == 5
    assert found.renamed == (
        ("yoyak.toml", ("lora.rank", "lora.r")),
        ("--set train.num_train_epochs=2", ("train.num_train_epochs", "train.epochs")),
        (
            "--set train.early_stopping_patience=5",
            ("train.early_stopping_patience", "evaluate.patience"),
        ),
    )
    assert found.origins["evaluate.patience"] == "--set train.early_stopping_patience=5"


def test_a_setting_under_both_names_is_refused_by_the_unknown_one(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('extends = "kobart"\n[train]\nepochs = 2\nnum_epochs = 3\n', "utf-8")
    with pytest.raises(BadRecipe, match=r"train\.num_epochs"):
        load.resolve(str(path))


@pytest.mark.parametrize(("value", "meant"), [("true", "on"), ("false", "off"), ("auto", "auto")])
def test_true_and_false_are_on_and_off(value, meant):
    sets = [f"train.gradient_checkpointing={value}", f"train.packing={value}"]
    train = load.resolve("qwen3-4b", sets=sets).recipe.train
    assert (train.gradient_checkpointing, train.packing) == (meant, meant)


@pytest.mark.parametrize("setting", sorted(UNSUPPORTED))
def test_a_setting_that_is_something_else_here_says_what(setting):
    with pytest.raises(BadRecipe, match=f"{setting}.*--set") as caught:
        load.resolve("qwen3-4b", sets=[f"{setting}=1"])
    assert "no such setting" not in str(caught.value)


def test_tables_of_any_shape_are_passed_on():
    odd = {"train": {}, "a": 1, "b.c": {"d": 2}, "lora": {"rank": 4}, "evaluate": 3}
    odd |= {"train": {"early_stopping_patience": 3}}
    current, found = with_current_names(odd)
    assert current["evaluate"] == 3
    assert current["lora"] == {"r": 4}
    assert current["b.c"] == {"d": 2}
    assert [each.name for each in found] == ["lora.r"]


def test_a_record_of_an_earlier_version_keeps_what_still_means_something():
    record = {"name": "a", "lora": None, "train": {"batch_rows": 8, "processes": 1}}
    current = {"name": "a", "lora": None, "train": {"batch_size": 8}}
    assert recorded_settings(record) == current
    assert recorded_settings(current) == current
