"""Known bugs of prompts and answers, each planted and caught by its check."""

import msgspec
import pytest

import torch  # noqa: TID253 -- pytest leaves this folder alone where torch is not wanted
from support.preflight import slow, with_control
from support.tokenizers import FORMS, recipe_of
from yoyak.engine.device import Precision
from yoyak.engine.preflight.data_checks import (
    DataCheckContext,
    check_data,
    padding,
    turn_separators,
)
from yoyak.engine.tokenization.encode import encode_rows
from yoyak.engine.tokenization.tokenizer import ModelTokenizer
from yoyak.errors import BadData, RunFailed
from yoyak.values import Turn

pytestmark = pytest.mark.torch

FP32 = Precision(torch.float32, None)
BF16 = Precision(torch.bfloat16, None)


def test_trained_on_another_template_than_inferred(toy, dialogues, red):
    model = toy("qwen3")
    other = msgspec.structs.replace(model.recipe.prompt, instruction="요약:")
    rows = encode_rows(model.tokenizer, dialogues, other, with_answers=True)
    assert "inference-prefix" in red(model, rows)


def test_the_topic_in_the_prompt(toy, dialogues, red):
    model = toy("bart")
    told = [msgspec.structs.replace(row, topic="여행") for row in dialogues]
    leaked = [
        msgspec.structs.replace(row, turns=(Turn(speaker="", text=row.topic), *row.turns))
        for row in told
    ]
    rows = encode_rows(model.tokenizer, leaked, model.recipe.prompt, with_answers=True)
    assert red(model, rows, shown=told) == {"inference-prefix"}


def test_speakers_renamed_in_the_prompt_only(toy, dialogues, red):
    model = toy("llama")
    renamed = [
        msgspec.structs.replace(
            row,
            turns=tuple(
                msgspec.structs.replace(turn, speaker=turn.speaker.replace("#Person", "#화자"))
                for turn in row.turns
            ),
        )
        for row in dialogues
    ]
    rows = encode_rows(model.tokenizer, renamed, model.recipe.prompt, with_answers=True)
    assert "inference-prefix" in red(model, rows)


@pytest.mark.parametrize("architecture", [slow("llama"), "qwen3", "bart"])
def test_the_header_of_the_answer_cut_off(toy, encoded, red, architecture):
    model = toy(architecture)
    rows = encoded(model)
    rows[-1] = rows[-1]._replace(source_ids=rows[-1].source_ids[:-1])
    assert "answer-header" in red(model, rows)


def test_the_header_written_twice(toy, encoded, red):
    model = toy("llama")
    header = model.tokenizer._encode(model.tokenizer.chat_format.header)
    rows = [row._replace(source_ids=(*row.source_ids, *header)) for row in encoded(model)]
    assert "answer-header" in red(model, rows)


def test_two_begins_of_text(toy, encoded, red):
    model = toy("llama")
    rows = [
        row._replace(source_ids=(model.tokenizer.bos_id, *row.source_ids)) for row in encoded(model)
    ]
    assert "begin-of-text" in red(model, rows)


def test_a_control_token_typed_into_a_dialogue(toy, dialogues, red, monkeypatch):
    model = toy("qwen3")
    model = with_control(model)  # a tokenizer of our own to break
    typed = (*dialogues[0].turns, Turn(speaker="#Person1#", text="<|im_end|> 라고 쳤어요."))
    shown = [msgspec.structs.replace(dialogues[0], turns=typed), *dialogues[1:]]
    assert red(model, shown=shown) == set()
    monkeypatch.setattr(model.tokenizer, "_escape", lambda text: text)
    assert red(model, shown=shown) == {"control-tokens"}


def test_an_answer_cut_in_mid_sentence(toy, encoded, red):
    model = toy("qwen3")
    rows = encoded(model)
    rows[3] = rows[3]._replace(answer_ids=(*rows[3].answer_ids[:5], model.tokenizer.stop_id))
    assert red(model, rows) == {"supervised-span"}


def test_an_answer_cut_together_with_its_stop(toy, encoded, red):
    model = toy("bart")
    rows = encoded(model)
    rows[7] = rows[7]._replace(answer_ids=rows[7].answer_ids[:-1])
    assert red(model, rows) == {"stop-supervised"}


def test_a_row_that_supervises_nothing(toy, dialogues):
    model = toy("bart")
    empty = msgspec.structs.replace(dialogues[0], references=("",))
    with pytest.raises(BadData, match="row_0"):
        encode_rows(model.tokenizer, [empty], model.recipe.prompt, with_answers=True)


@pytest.mark.parametrize("architecture", [slow("llama"), "qwen3"])
def test_the_end_of_all_text_taken_for_the_end_of_a_turn(toy, red, architecture):
    model = toy(architecture)
    stops = model.tokenizer.stop_ids
    assert "stop-supervised" in red(with_control(model, stop_ids=stops[1:]))


@pytest.mark.parametrize("architecture", ["bart", slow("llama"), "qwen3"])
def test_padding_with_the_stop(toy, red, architecture):
    model = toy(architecture)
    assert "padding" in red(with_control(model, pad_id=model.tokenizer.stop_id))


def with_tag_tokens(model, *, special):
    """The model's tokenizer after someone added the speakers to its vocabulary."""
    import copy

    tokenizer = copy.deepcopy(model.tokenizer._hf_tokenizer)
    tokenizer.add_tokens(["#Person1#", "#Person2#"], special_tokens=special)
    control = msgspec.structs.replace(model.tokenizer.special_tokens, vocab_size=len(tokenizer))
    return model._replace(tokenizer=ModelTokenizer(tokenizer, control))


def test_tags_registered_special_and_deleted_in_decoding(toy, red):
    model = with_tag_tokens(toy("qwen3"), special=True)
    tokenizer = model.tokenizer
    tokenizer.special_token_ids |= {tokenizer._backend.token_to_id(f"#Person{n}#") for n in (1, 2)}
    tokenizer.tags_are_tokens = False  # as any decoding with skip_special_tokens=True
    assert {"tags", "supervised-span"} <= red(model)


def test_tags_as_tokens_that_part_from_their_particles(toy, red):
    model = with_tag_tokens(toy("bart"), special=False)
    model.model.resize_token_embeddings(model.tokenizer.vocab_size)
    assert red(model) == set(), "the declared way restores the text"
    model.tokenizer.tags_are_tokens = False
    assert {"tags", "supervised-span"} <= red(model)


def words_in_summaries(dialogues):
    said = ("#Person1#은 user 계정과 system 설정을 묻습니다.", "#Person2#는 'no .' 라고 씁니다.")
    return [
        msgspec.structs.replace(row, references=(said[place % 2],))
        for place, row in enumerate(dialogues)
    ]


@pytest.mark.parametrize("word", ["user", "system", " ."])
def test_words_taken_for_markup_and_deleted_in_decoding(toy, dialogues, red, monkeypatch, word):
    """Role names struck out by string, and blanks "cleaned up" before full stops."""
    model = with_control(toy("qwen3"))  # a tokenizer of our own to break
    shown = words_in_summaries(dialogues)
    assert red(model, shown=shown) == set()
    right = model.tokenizer.decode
    monkeypatch.setattr(
        model.tokenizer, "decode", lambda ids: right(ids).replace(word, word.strip(word))
    )
    assert "supervised-span" in red(model, shown=shown)


def test_rows_packed_behind_one_another(toy, encoded, red):
    """Two rows in one: the second's prompt and answer are supervised as if one answer."""
    model = toy("llama")
    rows = encoded(model)
    both = (*rows[4].answer_ids, *rows[5].source_ids, *rows[5].answer_ids)
    rows[4] = rows[4]._replace(answer_ids=both)
    assert {"supervised-span", "stop-supervised", "begin-of-text"} <= red(model, rows)


def test_a_prompt_in_the_answer(toy, encoded, red):
    """Input that is not cut from the output: the answer repeats its prompt."""
    model = toy("qwen3")
    rows = [row._replace(answer_ids=(*row.source_ids, *row.answer_ids)) for row in encoded(model)]
    assert "supervised-span" in red(model, rows)


def test_most_dialogues_cut(toy, dialogues, red):
    model = toy("llama")
    prompt = msgspec.structs.replace(model.recipe.prompt, max_source_tokens=160)
    model = model._replace(recipe=msgspec.structs.replace(model.recipe, prompt=prompt))
    assert red(model) == {"rows-shortened"}


def context_of(tokenizer, prompt, dialogues):
    rows = encode_rows(tokenizer, dialogues, prompt, with_answers=True)
    return DataCheckContext(tokenizer, prompt, dialogues, rows)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("system", ["대화를 요약하세요.", ""])
def test_every_family_passes_on_its_own_rows(family, form, system, dialogues, toy_recipe):
    prompt = msgspec.structs.replace(recipe_of(form, toy_recipe).prompt, system=system)
    results = list(check_data(context_of(family(form), prompt, dialogues)))
    assert [(each.name, each.fields) for each in results if not each.passed] == []


@pytest.mark.parametrize("form", FORMS)
def test_every_family_has_one_header_one_stop_and_its_begin(family, form, dialogues, toy_recipe):
    """Cut or doubled, each is noticed, whatever the family's format is."""
    tokenizer, prompt = family(form), recipe_of(form, toy_recipe).prompt
    context = context_of(tokenizer, prompt, dialogues[:6])

    def failed(change):
        rows = [change(row) for row in context.rows]
        return {each.name for each in check_data(context._replace(rows=rows)) if not each.passed}

    cut = failed(lambda row: row._replace(source_ids=row.source_ids[:-1]))
    assert "answer-header" in cut
    without_stop = failed(lambda row: row._replace(answer_ids=row.answer_ids[:-1]))
    assert "stop-supervised" in without_stop
    if tokenizer.bos_id is not None:
        begun = failed(lambda row: row._replace(source_ids=(tokenizer.bos_id, *row.source_ids)))
        assert "begin-of-text" in begun


def test_the_card_says_what_becomes_of_the_system_prompt(family, dialogues, toy_recipe):
    def found(form, system):
        prompt = msgspec.structs.replace(recipe_of(form, toy_recipe).prompt, system=system)
        context = context_of(family(form), prompt, dialogues[:3])
        return turn_separators(context).found

    assert "the template writes its own: You are Qwen, created by" in found("qwen2_5", "")
    assert "the recipe's" in found("qwen2_5", "요약하세요.")
    assert "beginning of the user turn" in found("gemma2", "요약하세요.")
    assert "no system prompt" in found("gemma2", "")
    assert "separator '\\n'" in found("pko-t5", "")
    assert "separator ' | '" in found("mt5", "")


def test_turns_that_run_together_are_noticed(family, dialogues, toy_recipe):
    tokenizer, prompt = family("mt5"), recipe_of("mt5", toy_recipe).prompt
    joined = msgspec.structs.replace(tokenizer.special_tokens, line_break=" ")
    blank = type(tokenizer)(tokenizer._hf_tokenizer, joined)
    rows = encode_rows(blank, dialogues[:6], prompt, with_answers=True)
    context = DataCheckContext(tokenizer, prompt, dialogues[:6], rows)
    assert not turn_separators(context).passed


def test_padding_with_eos_passes_only_where_nothing_else_can_pad(family, dialogues, toy_recipe):
    prompt = recipe_of("solar", toy_recipe).prompt
    assert padding(context_of(family("solar"), prompt, dialogues[:3])).passed
    tokenizer = family("gemma2")
    control = msgspec.structs.replace(tokenizer.special_tokens, pad_id=tokenizer.stop_id)
    wrong = type(tokenizer)(tokenizer._hf_tokenizer, control)
    assert not padding(context_of(wrong, prompt, dialogues[:3])).passed


def test_the_mark_of_unsupervised_places_decoded(toy):
    with pytest.raises(RunFailed, match="-100"):
        toy("bart").tokenizer.decode([7, 8, -100, -100])
