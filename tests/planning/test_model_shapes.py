"""Counting from a configuration gives what the publishers and PEFT print."""

import json

import msgspec
import pytest

from yoyak.config import load
from yoyak.planning.model_shapes import read_config, shape_of

LLMS = ["llama32-ko-3b", "qwen3-4b", "qwen25-7b", "llama3-ko-8b"]


def recipe_and_shape(name):
    recipe = load.resolve(name).recipe
    return recipe, shape_of(recipe)


@pytest.mark.parametrize("name", ["kobart", *LLMS])
def test_counted_parameters_are_the_published_ones(name):
    recipe, shape = recipe_and_shape(name)
    assert shape.parameters == recipe.model.parameters


@pytest.mark.parametrize(
    ("name", "trainable"),
    # What PEFT's print_trainable_parameters() says of rank 16 on all linear layers.
    list(zip(LLMS, [24_313_856, 33_030_144, 40_370_176, 41_943_040], strict=True)),
)
def test_adapters_are_counted_as_peft_counts_them(name, trainable):
    _, shape = recipe_and_shape(name)
    assert shape.lora_parameters(16) == trainable


def test_the_adapter_of_one_llama_block_by_hand():
    _, shape = recipe_and_shape("llama32-ko-3b")
    query_and_output = 2 * 16 * (3072 + 3072)
    key_and_value = 2 * 16 * (3072 + 1024)
    mlp = 3 * 16 * (3072 + 8192)
    assert shape.lora_parameters(16) == 28 * (query_and_output + key_and_value + mlp)


def test_a_folder_states_its_own_shape(tmp_path):
    config = {
        "model_type": "llama", "num_hidden_layers": 2, "hidden_size": 8, "num_attention_heads": 4,
        "num_key_value_heads": 2, "intermediate_size": 32, "vocab_size": 100,
        "tie_word_embeddings": True,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (tmp_path / "model.safetensors").touch()
    recipe = load.resolve("qwen3-4b", sets=[f"model.base={tmp_path}"]).recipe
    shape = shape_of(recipe)
    block = 2 * 8 * 8 + 2 * 8 * 4 + 3 * 8 * 32 + 2 * 8
    assert shape.parameters == 2 * block + 8 + 100 * 8


def test_a_base_that_nobody_knows_is_not_guessed(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    recipe = load.resolve("qwen3-4b", sets=["model.base=nobody/nothing"]).recipe
    assert shape_of(recipe) is None


def test_a_family_that_is_not_counted_has_no_shape(tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(msgspec.json.encode({"model_type": "mamba"}))
    assert read_config(path, 0.5) is None
