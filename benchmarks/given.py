"""What both sides of a comparison are given: rows as ids, and a model with random weights."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import transformers  # noqa: TID253 -- as above

import torch  # noqa: TID253 -- a benchmark loads what it compares
import yoyak.data.sample
from yoyak.config.load import resolve
from yoyak.config.schema import Recipe
from yoyak.data.corpus import read_corpus
from yoyak.engine.tokenization.encode import EncodedRow, encode_rows
from yoyak.engine.tokenization.tokenizer import ModelTokenizer, load_tokenizer
from yoyak.engine.tokenization.train_tokenizer import train_tokenizer
from yoyak.values import Corpus, Dialogue

SHARED = Path(os.environ.get("YOYAK_SHARED", Path(__file__).parents[2] / "shared"))


class Size(NamedTuple):
    """How much is run, and on what."""

    steps: int
    dialogues: int
    width: int
    layers: int
    sample: bool


class Material(NamedTuple):
    """Rows as ids, and where they come from."""

    source: str
    tokenizer: ModelTokenizer
    train: list[EncodedRow]
    dev: list[EncodedRow]


def read_material(sample: bool) -> Material:
    recipe = resolve("qwen3-4b").recipe
    contest, folder = SHARED / "data" / "contest", SHARED / "tokenizers" / "qwen3"
    if sample or not (contest / "train.csv").is_file() or not folder.is_dir():
        corpus = read_corpus(yoyak.data.sample.folder())
        toy = resolve("tiny-qlora").recipe
        texts = (text for d in corpus.train.dialogues for text in (d.text, *d.references))
        tokenizer = train_tokenizer(texts, toy)
        return material("the embedded sample, repeated", tokenizer, corpus, toy)
    return material("contest", load_tokenizer(str(folder), recipe), read_corpus(contest), recipe)


def material(source: str, tokenizer: ModelTokenizer, corpus: Corpus, recipe: Recipe) -> Material:
    def encoded(dialogues: Sequence[Dialogue], least: int) -> list[EncodedRow]:
        rows = encode_rows(tokenizer, dialogues, recipe.prompt, with_answers=True)
        return rows * math.ceil(least / len(rows))

    train = encoded(corpus.train.dialogues, 64)
    return Material(source, tokenizer, train, encoded(corpus.dev.dialogues, 32))


def build(tokenizer: ModelTokenizer, size: Size, *, tied: bool) -> transformers.PreTrainedModel:
    """A random Qwen3 whose embedding is as tall as the real one: a multiple of 128 rows."""
    torch.manual_seed(42)
    tall = (
        151_936 if tokenizer.vocab_size > 100_000 else 128 * math.ceil(tokenizer.vocab_size / 128)
    )
    config = transformers.Qwen3Config(
        vocab_size=tall,
        hidden_size=size.width,
        intermediate_size=4 * size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=size.width // 4,
        max_position_embeddings=4096,
        tie_word_embeddings=tied,
        initializer_range=0.05,
        pad_token_id=tokenizer.pad_id,
        eos_token_id=tokenizer.stop_id,
        bos_token_id=None,
    )
    config._attn_implementation = "sdpa"
    return transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
