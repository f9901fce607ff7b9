"""Counting from a configuration gives what the publishers and PEFT print."""

import json

import pytest

from support.hub import base_files, write_base
from yoyak.config import load
from yoyak.config.schema import PublishedBase
from yoyak.planning.model_shapes import look_up, shape_of, shape_of_config

LLMS = ["llama32-ko-3b", "qwen3-4b", "qwen25-7b", "llama3-ko-8b"]


def recipe_and_shape(name):
    recipe = load.resolve(name).recipe
    return recipe, shape_of(recipe)


@pytest.mark.parametrize("name", ["kobart", *LLMS])
def test_counted_parameters_are_the_published_ones(name):
    recipe, shape = recipe_and_shape(name)
    assert shape.parameters == recipe.base.parameters


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
    write_base(tmp_path, base_files() | {"config.json": json.dumps(config).encode()})
    recipe = load.resolve("qwen3-4b", sets=[f"model.base={tmp_path}"]).recipe
    (model,) = look_up([recipe])
    block = 2 * 8 * 8 + 2 * 8 * 4 + 3 * 8 * 32 + 2 * 8
    assert model.shape.parameters == 2 * block + 8 + 100 * 8
    assert model.download_bytes == 0


def test_a_base_that_nobody_knows_is_not_guessed(offline):
    recipe = load.resolve("qwen3-4b", sets=["model.base=nobody/nothing"]).recipe
    assert recipe.base == PublishedBase(), "what was published is of another base"
    assert shape_of(recipe) is None


@pytest.mark.parametrize("config", [{"model_type": "mamba"}, {"model_type": "bart", "d_model": 8}])
def test_what_states_too_little_has_no_shape(config):
    assert shape_of_config(config) is None


def test_the_size_on_the_hub_counts_where_it_is_listed(fake_hub):
    fake_hub.models["org/one"] = base_files() | {"model.safetensors": bytes(1_000)}
    (model,) = look_up([load.resolve("qwen3-4b", sets=["model.base=org/one"]).recipe])
    assert model.download_bytes == 1_000
    assert model.shape.width == 64
