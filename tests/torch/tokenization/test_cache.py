"""Rows that were cut once are read back, and never when anything that decides them has changed."""

import hashlib

import msgspec
import pytest

from yoyak.engine.tokenization import cache
from yoyak.engine.tokenization.encode import encode_rows
from yoyak.values import Turn

pytestmark = pytest.mark.torch


@pytest.fixture
def cut(tokenizers, toy_recipe, dialogues, tmp_path, monkeypatch):
    """Rows through the cache, and how many of them were cut for it."""
    counted = []

    def counting(tokenizer, chosen, prompt, **how):
        counted.append(len(chosen))
        return encode_rows(tokenizer, chosen, prompt, **how)

    monkeypatch.setattr(cache, "encode_rows", counting)

    def make(form="qwen3", rows=dialogues, **changes):
        counted.clear()
        prompt = msgspec.structs.replace(toy_recipe(form).prompt, **changes)
        found = cache.training_rows(tokenizers[form], rows, prompt, tmp_path / "tokens")
        assert found == encode_rows(tokenizers[form], rows, prompt, with_answers=True)
        return max(counted)

    return make


def test_rows_are_cut_once(cut, dialogues):
    assert cut() == len(dialogues)
    assert cut() < len(dialogues) / 2


def test_what_decides_the_ids_decides_the_file(cut, dialogues):
    cut()
    other = msgspec.structs.replace(dialogues[7], turns=(Turn(speaker="#Person1#", text="네."),))
    assert cut(rows=[*dialogues[:7], other, *dialogues[8:]]) == len(dialogues)
    assert cut(rows=dialogues[::-1]) == len(dialogues)
    assert cut(instruction="짧게 요약하세요.") == len(dialogues)
    assert cut(max_source_tokens=700) == len(dialogues)
    assert cut(form="llama") == len(dialogues)


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "other-shape"])
def test_a_damaged_file_is_made_again(cut, dialogues, tmp_path, damage):
    cut()
    (path,) = (tmp_path / "tokens").iterdir()
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(
        {
            "flip": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            "cut": whole[:-9],
            "empty": b"",
            "other-shape": _sealed(msgspec.msgpack.encode([["row_0", [1], "no ids", True]])),
        }[damage]
    )
    assert cut() == len(dialogues)
    assert path.read_bytes() == whole


def test_a_file_from_other_code_is_made_again(cut, dialogues, tmp_path):
    """The name cannot tell that rendering has changed; the rows that are cut afresh can."""
    cut()
    (path,) = (tmp_path / "tokens").iterdir()
    rows = msgspec.msgpack.decode(path.read_bytes()[32:])
    for row in rows:
        row[1] = row[1][1:]
    path.write_bytes(_sealed(msgspec.msgpack.encode(rows)))
    assert cut() == len(dialogues)


def test_only_the_newest_rows_are_kept(cut, dialogues, tmp_path):
    cut()
    cut(rows=dialogues[:5])
    assert len(list((tmp_path / "tokens").iterdir())) == 1


def _sealed(content):
    return hashlib.sha256(content).digest() + content
