"""The vocabulary of a model from scratch is the same on every run."""

import json
import subprocess
import sys

import msgspec
import pytest

from yoyak.engine.tokenization.train_tokenizer import train_tokenizer
from yoyak.errors import BadRecipe

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("form", ["bart", "qwen3"])
def test_a_vocabulary_is_the_same_each_time_and_in_each_process(dialogues, form):
    code = (
        "import sys, json, hashlib, msgspec\n"
        "from yoyak.engine.tokenization.train_tokenizer import train_bpe\n"
        "texts = json.load(sys.stdin)\n"
        f"core = train_bpe(texts, '{form}', 400).backend_tokenizer\n"
        "print(hashlib.sha256(core.to_str().encode()).hexdigest())"
    )
    texts = json.dumps([dialogue.text for dialogue in dialogues])
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            input=texts, capture_output=True, text=True, check=True,
            env={"PYTHONHASHSEED": seed, "TOKENIZERS_PARALLELISM": parallel, "PATH": ""},
        ).stdout
        for seed, parallel in (("1", "false"), ("2", "true"))
    }  # fmt: skip
    assert len(seen) == 1


def test_training_a_tokenizer_asks_for_a_scratch_recipe(toy_recipe):
    recipe = toy_recipe("llama")
    model = msgspec.structs.replace(recipe.model, scratch=None)
    with pytest.raises(BadRecipe, match="scratch"):
        train_tokenizer(["가"], msgspec.structs.replace(recipe, model=model))


VOCABULARY = """
from hashlib import sha256
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.engine.tokenization.train_tokenizer import train_bpe
texts = [dialogue.text for dialogue in read_corpus(sample.folder()).train.dialogues]
for architecture in ("bart", "qwen3"):
    core = train_bpe(texts, architecture, 2000).backend_tokenizer
    print(sha256(core.to_str().encode()).hexdigest())
"""


def test_another_process_trains_the_same_vocabulary():
    # More syllables than the alphabet takes, some as common as others: no lots may be drawn.
    told = {
        subprocess.run(
            [sys.executable, "-c", VOCABULARY], check=True, capture_output=True, text=True
        ).stdout
        for _ in range(3)
    }
    assert len(told) == 1
