"""The vocabulary of a model from scratch is the same on every run."""

import subprocess
import sys

import msgspec
import pytest

from yoyak.engine.tokenization.train_tokenizer import train_tokenizer
from yoyak.errors import BadRecipe

pytestmark = pytest.mark.torch


VOCABULARY = """
from hashlib import sha256
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.engine.tokenization.train_tokenizer import train_bpe
texts = [dialogue.text for dialogue in read_corpus(sample.folder()).train.dialogues]
for architecture, size in (("bart", 400), ("bart", 2000), ("qwen3", 400), ("qwen3", 2000)):
    core = train_bpe(texts, architecture, size).backend_tokenizer
    print(sha256(core.to_str().encode()).hexdigest())
"""


def test_a_vocabulary_is_the_same_in_each_process():
    # More syllables than the alphabet takes, some as common as others: no lots may be drawn.
    printed = {
        subprocess.run(
            [sys.executable, "-c", VOCABULARY], check=True, capture_output=True, text=True,
            env={"PYTHONHASHSEED": seed, "TOKENIZERS_PARALLELISM": parallel, "PATH": ""},
        ).stdout
        for seed, parallel in (("1", "false"), ("2", "true"))
    }  # fmt: skip
    (vocabularies,) = printed
    assert len(set(vocabularies.split())) == 4


def test_training_a_tokenizer_asks_for_a_scratch_recipe(toy_recipe):
    recipe = toy_recipe("llama")
    model = msgspec.structs.replace(recipe.model, scratch=None)
    with pytest.raises(BadRecipe, match="scratch"):
        train_tokenizer(["가"], msgspec.structs.replace(recipe, model=model))
