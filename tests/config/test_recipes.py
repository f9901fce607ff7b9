"""Recipes resolve from their layers, say where each value comes from, and refuse nonsense."""

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.config import load
from yoyak.config.schema import (
    RESUMABLE_SETTINGS,
    BeamSearch,
    Greedy,
    LrScheduler,
    Recipe,
    Sampling,
    TrainSettings,
)
from yoyak.errors import BadRecipe, InputMissing


@pytest.mark.parametrize("name", load.names())
def test_every_bundled_recipe_resolves(name):
    recipe, origins = load.resolve(name)
    assert recipe.name == name
    assert origins.keys() == dict(load.settings_of(recipe)).keys()


def test_the_line_up_states_the_values_of_the_report():
    lineup = {name: load.resolve(name).recipe for name in load.names()}
    kobart = lineup["kobart"]
    assert kobart.model.base == "gogamza/kobart-base-v2"
    assert kobart.model.quantisation is None
    assert (kobart.train.epochs, kobart.train.batch_size) == (20, 8)
    assert kobart.train.learning_rate == 5e-5
    llama = lineup["llama32-ko-3b"]
    assert llama.model.base == "beomi/Llama-3.2-Korean-3B-Instruct"
    assert llama.model.alternative == "Bllossom/llama-3.2-Korean-Bllossom-3B"
    assert llama.lora is not None
    assert (llama.lora.r, llama.lora.lora_alpha, llama.lora.lora_dropout) == (16, 32, 0.05)
    assert llama.train.batch_size == 8
    assert llama.train.lr_scheduler is LrScheduler.COSINE
    assert (llama.train.epochs, llama.train.warmup_ratio, llama.train.max_grad_norm) == (
        10,
        0.03,
        1,
    )
    expected = {
        "qwen3-4b": ("Qwen/Qwen3-4B-Instruct-2507", 2e-4),
        "qwen25-7b": ("Qwen/Qwen2.5-7B-Instruct", 1e-4),
        "llama3-ko-8b": ("beomi/Llama-3-Open-Ko-8B-Instruct-preview", 1e-4),
    }
    for name, (base, learning_rate) in expected.items():
        recipe = lineup[name]
        assert recipe.model.quantisation == "nf4"
        assert recipe.model.base == base
        assert recipe.train.batch_size == 8
        assert recipe.train.micro_batch_size is None, "a token budget cuts the batch"
        assert recipe.train.learning_rate == learning_rate


def test_scoring_is_deterministic_and_stops_early_by_default():
    for name in load.names():
        recipe = load.resolve(name).recipe
        assert not isinstance(recipe.decode, Sampling)
        assert recipe.evaluate.patience is not None


def test_a_setting_says_where_it_comes_from():
    project = {"recipes": {"qwen25-7b": {"train": {"epochs": 3}}}}
    recipe, origins = load.resolve(
        "qwen25-7b", project=project, sets=["train.learning_rate=5e-5", "model.base=my/fork"]
    )
    assert (recipe.train.epochs, recipe.train.learning_rate) == (3, 5e-5)
    assert recipe.model.base == "my/fork"
    assert origins["train.epochs"] == "yoyak.toml"
    assert origins["train.learning_rate"] == "--set train.learning_rate=5e-5"
    assert origins["model.parameters"] == "config/recipes/qwen25-7b.toml"
    assert origins["lora.r"] == "config/recipes/qlora-base.toml"
    assert origins["train.seed"] == "default"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("train.epoch=3", "did you mean 'epochs'"),
        ('train.epochs="3"', "Expected `int`"),
        ("train.epochs=-1", "$.train.epochs"),
        ("train.micro_batch_size=3", "must be a multiple of"),
        ("trian.epochs=3", "did you mean 'train'"),
        ("decode.beamz=3", "beamz"),
        ("model.quantisation=int3", "quantisation"),
        ("train.epochs", "expected a.b=value"),
        ("evaluate.metric=rougel", "did you mean 'rougeL'"),
        ("evaluate.metric=rouge", "one of rouge_mean, rouge1, rouge2, rougeL, eval_loss"),
        ("evaluate.metric=evalloss", "did you mean 'eval_loss'"),
        ("evaluate.metric=3", "no such word"),
        ("train.lr_scheduler=cosin", "did you mean 'cosine'"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_place(spec, said):
    with pytest.raises(BadRecipe, match=said.replace("$", r"\$").replace(".", r"\.")) as caught:
        load.resolve("qwen25-7b", sets=[spec])
    assert caught.value.exit_code == 78


def test_an_unknown_recipe_is_answered_with_the_nearest():
    with pytest.raises(BadRecipe, match="did you mean 'qwen25-7b'"):
        load.resolve("qwen2.5-7b")


def test_a_recipe_file_can_extend_a_bundled_one(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('extends = "qwen3-4b"\n[train]\nepochs = 1\n', encoding="utf-8")
    recipe, origins = load.resolve(str(path))
    assert recipe.name == "mine"
    assert (recipe.train.epochs, recipe.train.learning_rate) == (1, 2e-4)
    assert origins["train.epochs"] == str(path)
    path.write_text(f'extends = "{path}"\n', encoding="utf-8")
    with pytest.raises(BadRecipe, match="extends itself"):
        load.resolve(str(path))
    path.write_text("train = [", encoding="utf-8")
    with pytest.raises(BadRecipe, match="not valid TOML"):
        load.resolve(str(path))
    with pytest.raises(InputMissing):
        load.resolve(str(tmp_path / "none.toml"))
    path.write_text("[train]\nepochs = 1\n", encoding="utf-8")
    with pytest.raises(BadRecipe, match="names no engine"):
        load.resolve(str(path))


def test_another_kind_of_decoding_forgets_the_settings_of_the_first():
    assert isinstance(load.resolve("kobart").recipe.decode, BeamSearch)
    changed = load.resolve("kobart", sets=["decode.kind=greedy"]).recipe
    assert changed.decode == Greedy()


def test_a_decoding_without_a_kind_is_greedy():
    recipe = load.resolve("lead", sets=["decode.max_new_tokens=8"]).recipe
    assert recipe.decode == Greedy(max_new_tokens=8)


def test_none_switches_an_optional_setting_off():
    assert load.resolve("kobart", sets=["evaluate.patience=none"]).recipe.evaluate.patience is None


def test_the_learning_hash_ignores_decoding_words_and_how_steps_are_computed():
    plain = load.resolve("kobart").recipe
    for sets in (["decode.num_beams=5", "about=x"], ["train.micro_batch_tokens=512"], *HOW_SETS):
        other = load.resolve("kobart", sets=sets).recipe
        assert plain.learning_hash == other.learning_hash, sets
        assert plain.full_hash != other.full_hash or "about=x" in sets


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
                epochs=3, max_steps=9, batch_size=16, learning_rate=4e-5, schedule="cosine",
                warmup_ratio=0.5, weight_decay=0.5, max_grad_norm=2.0, label_smoothing=0.1, seed=1,
            )
        ).items()
        if name not in RESUMABLE_SETTINGS
    }  # fmt: skip
    assert {*others, *RESUMABLE_SETTINGS} == set(TrainSettings.__struct_fields__)
    for name, value in others.items():
        changed = load.resolve("kobart", sets=[f"train.{name}={value}"]).recipe
        assert changed.learning_hash != plain.learning_hash, name


@given(
    st.sampled_from(sorted(dict(load.settings_of(load.resolve("qwen3-4b").recipe)))),
    st.data(),
)
def test_every_misspelt_setting_is_refused(setting, data):
    position = data.draw(st.integers(0, len(setting) - 1))
    misspelt = setting[:position] + "x" + setting[position:]
    with pytest.raises(BadRecipe):
        load.resolve("qwen3-4b", sets=[f"{misspelt}=1"])


def test_the_removed_setting_of_several_gpus_is_refused_with_what_to_do(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('extends = "kobart"\n[train]\nprocesses = 2', encoding="utf-8")
    with pytest.raises(BadRecipe, match=r"was removed: one run trains on one GPU.*mine\.toml"):
        load.resolve(str(path))
    with pytest.raises(BadRecipe, match=r"delete train\.processes"):
        load.resolve("kobart", sets=["train.processes=1"])


def test_the_record_of_a_run_from_when_it_was_a_setting_is_the_same_recipe():
    recipe = load.resolve("kobart").recipe
    record = msgspec.to_builtins(recipe)
    record["train"]["processes"] = 2
    assert msgspec.json.decode(msgspec.json.encode(record), type=Recipe) == recipe


def test_its_hashes_are_what_they_were_when_it_was_a_setting():
    recipe = load.resolve("kobart", sets=["about="]).recipe
    record = msgspec.to_builtins(recipe)
    record["train"]["processes"] = 1
    written = msgspec.json.encode(record, order="sorted")
    assert recipe.full_hash == hashlib.sha256(written).hexdigest()
