"""A corpus of the contest's size, and recipes by name."""

import json

import pytest

from support.hub import base_files
from yoyak.config import load
from yoyak.values import Corpus, Dialogue, Split, Turn


def split(name, rows, characters=400):
    turn = Turn(speaker="#Person1#", text="가" * (characters - len("#Person1#: ")))
    return Split(
        name=name,
        fingerprint=name,
        dialogues=tuple(
            Dialogue(id=f"{name}_{row}", turns=(turn,), references=("나" * 80,))
            for row in range(rows)
        ),
    )


@pytest.fixture(scope="session")
def contest():
    """12,457 rows of 400 characters, summaries of 80."""
    return Corpus(
        folder="data", train=split("train", 12_457), dev=split("dev", 499), test=split("test", 499)
    )


@pytest.fixture(scope="session")
def long_rows(contest):
    """Ten rows of as many characters as asked for."""
    return lambda characters: Corpus(
        folder="data", train=split("train", 10, characters), dev=contest.dev, test=contest.test
    )


@pytest.fixture
def resolved(fake_hub):
    """Recipes by name, on a machine whose hub cache is empty and whose hub has their bases.

    The hub lists no weights of a known size, so that sizes follow from the parameters.
    """

    def call(*names, sets=()):
        found = [load.resolve(name, sets=sets).recipe for name in names]
        for recipe in found:
            base = recipe.model.base
            if base is not None and recipe.base.config is not None:
                files = base_files() | {"config.json": json.dumps(recipe.base.config).encode()}
                fake_hub.models.setdefault(base, files | {"model.safetensors": b""})
        return found

    return call
