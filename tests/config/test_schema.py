"""What a recipe's hashes are of."""

import msgspec
import pytest

from yoyak.config import load
from yoyak.config.schema import RESUMABLE_SETTINGS, PublishedBase, TrainSettings
from yoyak.errors import BadRecipe


def test_the_learning_hash_ignores_decoding_words_and_how_steps_are_computed():
    plain = load.resolve("kobart").recipe
    for sets in (["decode.num_beams=5", "about=x"], ["train.micro_batch_tokens=512"], *HOW_SETS):
        other = load.resolve("kobart", sets=sets).recipe
        assert plain.learning_hash == other.learning_hash, sets
        assert plain.full_hash != other.full_hash or "about=x" in sets


def test_what_only_describes_a_recipe_is_in_no_hash():
    plain = load.resolve("kobart").recipe
    described = {"about": "x", "file": "x.toml", "base": PublishedBase(parameters=1, family="x")}
    other = msgspec.structs.replace(plain, **described)
    assert (other.full_hash, other.learning_hash) == (plain.full_hash, plain.learning_hash)


HOW_SETS = [
    ["train.micro_batch_size=2"],
    ["train.gradient_checkpointing=on"],
    ["train.save_every_steps=7"],
    ["train.deterministic=false"],
]


def test_whatever_else_of_training_changes_is_another_training():
    plain = load.resolve("kobart").recipe
    others = {
        name: value
        for name, value in msgspec.to_builtins(
            TrainSettings(
                epochs=3, max_steps=9, batch_size=16, learning_rate=4e-5, lr_scheduler="cosine",
                warmup_ratio=0.5, weight_decay=0.5, max_grad_norm=2.0, label_smoothing=0.1, seed=1,
                layerwise_lr_decay=0.9, optim="adamw_8bit", neftune_noise_alpha=5.0,
                rdrop_alpha=1.0, ema_decay=0.99,
            )
        ).items()
        if name not in {*RESUMABLE_SETTINGS, "min_lr_rate"}
    }  # fmt: skip
    assert {*others, *RESUMABLE_SETTINGS, "min_lr_rate"} == set(TrainSettings.__struct_fields__)
    floor = ["train.lr_scheduler=cosine_with_min_lr", "train.min_lr_rate=0.1"]
    lower = [floor[0], "train.min_lr_rate=0.2"]
    assert (
        len({load.resolve("kobart", sets=sets).recipe.learning_hash for sets in (floor, lower)})
        == 2
    )
    for name, value in others.items():
        changed = load.resolve("kobart", sets=[f"train.{name}={value}"]).recipe
        assert changed.learning_hash != plain.learning_hash, name


def test_runs_of_before_a_later_setting_came_are_found_again():
    # What this recipe's hash was before the first of LATER_SETTINGS came.
    plain = load.resolve("kobart").recipe
    assert plain.learning_hash.startswith("baf57e13d9fa33e0")
    other = load.resolve("kobart", sets=["evaluate.dev_half=selection"]).recipe
    assert other.learning_hash != plain.learning_hash


def test_what_a_study_may_vary_is_in_no_hash():
    plain = load.resolve("kobart").recipe
    other = load.resolve("kobart", sets=["search.epochs.values=[1, 2]"]).recipe
    assert other.search.epochs.values == (1, 2)
    assert (other.full_hash, other.learning_hash) == (plain.full_hash, plain.learning_hash)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("search.epochs.low=3", "needs low < high"),
        ("search={learning_rate={low=2e-3, high=1e-3}}", "needs low < high"),
        ("search={learning_rate={low=0, high=1e-3, log=true}}", "begins above 0"),
        ("search={epochs={low=1, high=3, values=[1]}}", "not both"),
        ("search.rate.low=1", "no such setting"),
    ],
)
def test_a_range_that_means_nothing_is_refused_with_its_origin(given, problem):
    with pytest.raises(BadRecipe, match=problem):
        load.resolve("kobart", sets=[given])


def test_a_setting_that_earlier_versions_lacked_is_in_no_hash_at_its_default():
    """Hashes of the version before: the runs recorded with them are found again."""
    before = {
        "kobart": "baf57e13d9fa33e032d30e2a49235ee4fd409b1e918baec97efce0629d3b6a54",
        "tiny-qlora": "05eb62daab3880920b1f58c44201e129076e86d419c0d5e4c11dbc3ecef49d3f",
    }
    unset = ["evaluate.max_new_tokens=none"]
    toy = ["model.scratch.pretrain_epochs=1", "train.max_steps=100"]
    toy += ["lora.r=8", "lora.lora_alpha=16"]  # as it was then
    sets = {"kobart": unset, "tiny-qlora": [*unset, *toy]}
    now = {name: load.resolve(name, sets=sets[name]).recipe.learning_hash for name in before}
    assert now == before
    dora = load.resolve("tiny-qlora", sets=["lora.use_dora=true"]).recipe
    assert dora.learning_hash != before["tiny-qlora"]


@pytest.mark.parametrize(
    ("recipe", "sets", "message"),
    [
        ("kobart", ["train.min_lr_rate=0.1"], "belong together"),
        ("kobart", ["train.lr_scheduler=cosine_with_min_lr"], "belong together"),
        ("qwen3-4b", ["lora.init_lora_weights=pissa"], "singular vectors"),
        ("qwen3-4b", ["lora.use_dora=true", "train.kernels=fused"], "has no layers"),
        ("qwen3-4b", ["train.layerwise_lr_decay=0.9"], "training all weights"),
        ("qwen3-4b", ["lora.loraplus_lr_ratio=0.5"], ">= 1"),
        ("kobart", ["train.ema_decay=1.0"], "< 1"),
        ("kobart", ["train.optim=adam_8bit"], "adamw_8bit"),
    ],
)
def test_settings_that_make_no_sense_together_are_refused(recipe, sets, message):
    with pytest.raises(BadRecipe, match=message):
        load.resolve(recipe, sets=sets)
