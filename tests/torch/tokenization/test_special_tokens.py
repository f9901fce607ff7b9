"""What special tokens are for is found out from a tokenizer's own files, in every family."""

import json

import pytest

from support.tokenizers import FORMS, recipe_of, write_base
from yoyak.engine.tokenization.special_tokens import find_padding, frame_of, special_ids
from yoyak.engine.tokenization.tokenizer import load_tokenizer
from yoyak.errors import BadRecipe

pytestmark = pytest.mark.torch

# What ends an answer, what ends generation besides, what pads, and BOS, as the vendors document it.
EXPECTED = {
    "llama3": ("<|eot_id|>", {"<|end_of_text|>", "<|eom_id|>"}, "<|finetune_right_pad_id|>"),
    "llama3-base": ("<|end_of_text|>", {"<|eom_id|>"}, "<|finetune_right_pad_id|>"),
    "qwen2_5": ("<|im_end|>", {"<|endoftext|>"}, "<|fim_pad|>"),
    "qwen3": ("<|im_end|>", {"<|endoftext|>"}, "<|fim_pad|>"),
    "qwen3-thinking": ("<|im_end|>", {"<|endoftext|>"}, "<|fim_pad|>"),
    "gemma2": ("<end_of_turn>", {"<eos>"}, "<pad>"),
    "gemma3": ("<end_of_turn>", {"<eos>"}, "<pad>"),
    "exaone3_5": ("[|endofturn|]", {"[EOS]"}, "[PAD]"),
    "exaone-deep": ("[|endofturn|]", {"[EOS]"}, "[PAD]"),
    "exaone4": ("[|endofturn|]", {"[EOS]"}, "[PAD]"),
    "mistral": ("</s>", set(), "</s>"),
    "phi3": ("<|end|>", {"<|endoftext|>", "</s>", "<|assistant|>"}, "<|placeholder1|>"),
    "solar": ("</s>", set(), "</s>"),
    "smollm2": ("<|im_end|>", {"<|endoftext|>"}, "<|im_end|>"),
    "smollm3": ("<|im_end|>", {"<|end_of_text|>"}, "<|finetune_right_pad_id|>"),
    "hyperclova": (
        "<|im_end|>", {"<|endofturn|>", "<|endoftext|>", "<|stop|>"}, "<|_unuse_missing_100261|>"
    ),
    "kogpt2": ("</s>", set(), "<pad>"),
    "polyglot": ("<|endoftext|>", set(), "<|unused0|>"),
    "bart": ("</s>", set(), "<pad>"),
    "kobart": ("</s>", set(), "<pad>"),
    "mbart": ("</s>", set(), "<pad>"),
    "mbart50": ("</s>", set(), "<pad>"),
    "mt5": ("</s>", set(), "<pad>"),
    "ke-t5": ("</s>", set(), "<pad>"),
    "pko-t5": ("</s>", set(), "<pad>"),
    "pegasus": ("</s>", set(), "<pad>"),
    "bert2bert": ("[SEP]", set(), "[PAD]"),
}  # fmt: skip

BY_POSITION = {"mistral", "solar", "smollm2"}
"""Their vocabularies have no token that could pad; batches are masked by position."""


def test_every_family_has_an_expectation():
    assert EXPECTED.keys() == FORMS.keys()


@pytest.mark.parametrize("form", EXPECTED)
def test_stops_and_padding_are_the_vendors(family, form):
    tokenizer = family(form)
    stop, further, pad = EXPECTED[form]
    assert tokenizer.id_to_token(tokenizer.stop_id) == stop
    assert set(map(tokenizer.id_to_token, tokenizer.stop_ids[1:])) == further
    assert tokenizer.id_to_token(tokenizer.pad_id) == pad
    assert (tokenizer.pad_id in tokenizer.stop_ids) == (form in BY_POSITION)


@pytest.mark.parametrize("form", EXPECTED)
def test_no_row_holds_the_padding_token(family, form, dialogues, toy_recipe):
    from yoyak.engine.tokenization.encode import encode_rows

    tokenizer, prompt = family(form), recipe_of(form, toy_recipe).prompt
    rows = encode_rows(tokenizer, dialogues[:4], prompt, with_answers=True)
    inside = {token for row in rows for token in (*row.source_ids, *row.answer_ids)}
    assert (tokenizer.pad_id in inside) == (form in BY_POSITION)


def changed(form, folder, file, **fields):
    """Write a family's files with other fields in one of them."""
    path = write_base(form, folder) / file
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    return str(folder)


def test_a_declared_padding_token_that_is_in_every_prompt_is_not_used(toy_recipe, tmp_path):
    folder = changed("qwen2_5", tmp_path, "tokenizer_config.json", pad_token="<|im_start|>")
    assert load_tokenizer(folder, toy_recipe("llama")).special_tokens.pad_id == 8  # <|fim_pad|>


def test_stops_of_the_generation_config_outside_the_vocabulary_are_left_out(toy_recipe, tmp_path):
    folder = changed("gemma2", tmp_path, "generation_config.json", eos_token_id=[1, 8, 10**6, -1])
    assert load_tokenizer(folder, toy_recipe("llama")).stop_ids == (8, 1)


@pytest.mark.parametrize("form", ["polyglot", "mt5"])
def test_a_tokenizer_that_names_no_end_is_refused(toy_recipe, tmp_path, form):
    folder = write_base(form, tmp_path)
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        path = folder / file
        fields = json.loads(path.read_text())
        del fields["eos_token"]
        path.write_text(json.dumps(fields))
    with pytest.raises(BadRecipe, match="ends an answer"):
        load_tokenizer(str(folder), recipe_of(form, toy_recipe))


@pytest.mark.parametrize("form", EXPECTED)
def test_frames_are_what_a_vendors_tokenizer_adds_to_a_text(form, tmp_path):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(write_base(form, tmp_path) / "tokenizer.json"))
    before, _, after = FORMS[form].frame.partition("$A")
    names = tuple(
        tuple(tokenizer.id_to_token(token) for token in part) for part in frame_of(tokenizer)
    )
    assert names == (tuple(before.split()), tuple(after.split()))


def test_emoji_that_are_registered_as_special_are_text(tmp_path):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(write_base("kobart", tmp_path) / "tokenizer.json"))
    before = special_ids(tokenizer)
    tokenizer.add_special_tokens(["😀", ":)", "^^"])
    assert special_ids(tokenizer) == before


@pytest.mark.parametrize("form", EXPECTED)
def test_tokens_in_use_never_pad(family, form):
    tokenizer = family(form)
    used = {*tokenizer.stop_ids, tokenizer.pad_id}
    other = find_padding(tokenizer._hf_tokenizer, used)
    assert other is None or other not in used
