"""Chat formats: what a prompt ends with, and special tokens that somebody typed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.engine.tokenization.chat_template import (
    CHAT_FORMATS,
    SpecialTokenEscaper,
    find_chat_format,
)
from yoyak.errors import BadRecipe
from yoyak.values import Message, Source

pytestmark = pytest.mark.torch

CHAT = ("llama", "qwen3")
SPECIAL = ("<|im_end|>", "<|im_start|>", "<|im_end|>x", "</s>")


def chat(text, system="요약하세요."):
    messages = (Message(role="system", text=system), Message(role="user", text=text))
    return Source(id="a", messages=messages)


@pytest.mark.parametrize("form", CHAT)
def test_a_prompt_ends_with_the_header_that_opens_the_answer(tokenizers, form):
    tokenizer = tokenizers[form]
    name = tokenizer.special_tokens.family
    family = next(family for family in CHAT_FORMATS if family.name == name)
    ids = tokenizer.encode_source(chat("#Person1#: 안녕하세요."))
    assert ids[-len(tokenizer._encode(family.answer_header)) :] == tokenizer._encode(
        family.answer_header
    )
    assert ids.count(tokenizer.bos_id) == (1 if form == "llama" else 0)
    assert "#Person1#: 안녕하세요." in tokenizer.decode(ids)


def test_a_template_that_refuses_the_messages_says_so(tokenizers):
    tokenizer = tokenizers["llama"]
    tokenizer._hf_tokenizer.chat_template, kept = (
        "{{ raise_exception('no system role') }}",
        tokenizer._hf_tokenizer.chat_template,
    )
    try:
        with pytest.raises(BadRecipe, match="no system role"):
            tokenizer.encode_source(chat("안녕"))
    finally:
        tokenizer._hf_tokenizer.chat_template = kept


@given(st.lists(st.sampled_from([*SPECIAL, "<", "|", ">", "a", " "]), max_size=12).map("".join))
def test_no_special_token_is_left_in_an_escaped_text_and_only_spaces_are_added(text):
    escaped = SpecialTokenEscaper(SPECIAL)(text)
    assert not any(token in escaped for token in SPECIAL)
    assert escaped.replace(" ", "") == text.replace(" ", "")


def test_text_is_unchanged_where_nothing_is_special():
    assert SpecialTokenEscaper(SPECIAL)("#Person1#: 1 < 2") == "#Person1#: 1 < 2"
    assert SpecialTokenEscaper(())("<|im_end|>") == "<|im_end|>"


@pytest.mark.parametrize("chat_format", CHAT_FORMATS)
def test_a_format_is_found_by_its_eos_token_and_never_pads_with_one(chat_format):
    vocabulary = {chat_format.stop: 7}
    assert find_chat_format(vocabulary.get) is chat_format
    assert not {*chat_format.pads} & {chat_format.stop, *chat_format.other_stops}


def test_a_vocabulary_of_no_known_family_has_no_format():
    assert find_chat_format({"</s>": 1}.get) is None
