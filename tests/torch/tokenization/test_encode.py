import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.engine.tokenization.encode import encode_rows
from yoyak.errors import BadData, BadRecipe
from yoyak.values import Dialogue, Turn

pytestmark = pytest.mark.torch

FORMS = ("bart", "llama", "qwen3")


def prompt_of(recipe, **changes):
    return msgspec.structs.replace(recipe.prompt, **changes)


@pytest.mark.parametrize("form", FORMS)
def test_training_and_inference_are_shown_the_same_ids(tokenizers, toy_recipe, dialogues, form):
    prompt = toy_recipe(form).prompt
    train = encode_rows(tokenizers[form], dialogues, prompt, with_answers=True)
    test_rows = [msgspec.structs.replace(row, references=(), topic="여행") for row in dialogues]
    infer = encode_rows(tokenizers[form], test_rows, prompt, with_answers=False)
    assert [row.source_ids for row in train] == [row.source_ids for row in infer]
    assert all(row.answer_ids == () for row in infer)
    assert [row.id for row in train] == [dialogue.id for dialogue in dialogues]


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_is_its_summary_and_the_stop(tokenizers, toy_recipe, dialogues, form):
    tokenizer = tokenizers[form]
    rows = encode_rows(tokenizer, dialogues, toy_recipe(form).prompt, with_answers=True)
    for row, dialogue in zip(rows, dialogues, strict=True):
        assert row.answer_ids[-1] == tokenizer.stop_id
        assert row.answer_ids.count(tokenizer.stop_id) == 1
        assert tokenizer.decode(row.answer_ids) == dialogue.references[0]


@pytest.mark.parametrize("form", FORMS)
@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=40),
    limit=st.integers(200, 400),
)
def test_a_long_dialogue_loses_words_never_its_header(tokenizers, toy_recipe, form, lengths, limit):
    tokenizer = tokenizers[form]
    turns = tuple(
        Turn(speaker=f"#Person{1 + place % 2}#", text="가 나다 " * length)
        for place, length in enumerate(lengths)
    )
    dialogue = Dialogue(id="long", turns=turns, references=("짧은 요약.",))
    prompt = prompt_of(toy_recipe(form), max_source_tokens=limit)
    (row,) = encode_rows(tokenizer, [dialogue], prompt, with_answers=True)
    short = Dialogue(id="short", turns=turns[:1], references=("짧은 요약.",))
    (small,) = encode_rows(tokenizer, [short], prompt, with_answers=True)
    whole_prompt = prompt_of(toy_recipe(form), max_source_tokens=10**6)
    (whole,) = encode_rows(tokenizer, [dialogue], whole_prompt, with_answers=True)
    header = 1 if form == "bart" else 6
    assert len(row.source_ids) <= limit
    assert row.source_ids[-header:] == small.source_ids[-header:]
    assert row.answer_ids == small.answer_ids == whole.answer_ids
    assert row.shortened == (row.source_ids != whole.source_ids)


def test_an_answer_that_does_not_fit_is_an_error_that_says_what_would(tokenizers, toy_recipe):
    turn = (Turn(speaker="#Person1#", text="안녕"),)
    rows = [
        Dialogue(id=f"row_{size}", turns=turn, references=("쀍" * size,)) for size in (1, 30, 20)
    ]
    prompt = prompt_of(toy_recipe("llama"), max_summary_tokens=40)
    with pytest.raises(BadData, match=r"2 summaries.*row_30, needs 91.*max_summary_tokens=96"):
        encode_rows(tokenizers["llama"], rows, prompt, with_answers=True)
    assert len(encode_rows(tokenizers["llama"], rows, prompt, with_answers=False)) == 3


@pytest.mark.parametrize("references", [(), ("",)])
def test_a_row_with_nothing_to_learn_is_named(tokenizers, toy_recipe, references):
    turn = (Turn(speaker="#Person1#", text="안녕"),)
    row = Dialogue(id="row_9", turns=turn, references=references)
    with pytest.raises(BadData, match="row_9"):
        encode_rows(tokenizers["qwen3"], [row], toy_recipe("qwen3").prompt, with_answers=True)


def test_no_room_for_the_dialogue_is_an_error(tokenizers, toy_recipe, dialogues):
    prompt = prompt_of(toy_recipe("qwen3"), max_source_tokens=10)
    with pytest.raises(BadRecipe, match="max_source_tokens"):
        encode_rows(tokenizers["qwen3"], dialogues, prompt, with_answers=False)
