"""What is written beside the weights, and what is refused before anything is."""

import pytest

from support.exports import NEW
from yoyak.engine.exported import PLACE, read_exported
from yoyak.engine.formats.export import write_export
from yoyak.engine.tokenization.tokenizer import load_tokenizer
from yoyak.errors import BadRecipe, InputMissing, RunFailed

pytestmark = pytest.mark.torch


def test_the_record_renders_the_very_prompt_of_training(exported, dialogues):
    form = exported("qwen3", "merged")
    record = read_exported(form.folder)
    assert record == form.record
    tokenizer = load_tokenizer(str(form.folder), form.request.recipe)
    assert tokenizer.special_tokens == record.special_tokens
    from yoyak.data.prompt import render

    row = dialogues[0]
    asked = tokenizer.render(render(row, form.request.recipe.prompt))
    assert record.prompt_text.replace(PLACE, row.text) == asked
    assert record.stop_tokens == tuple(map(tokenizer.id_to_token, tokenizer.stop_ids))
    assert record.longest_answer == NEW


def test_another_number_format_and_adapters_that_are_not_there_are_refused(trained, tmp_path):
    request = trained("qwen3")
    with pytest.raises(BadRecipe, match="Q4_0"):
        write_export(request._replace(form="gguf", quantisation="INT3"), tmp_path)
    with pytest.raises(InputMissing, match="no adapters"):
        write_export(request._replace(form="adapters"), tmp_path)
    with pytest.raises(BadRecipe, match="int8 is one of a format"):
        write_export(request._replace(form=None, quantisation="int8"), tmp_path)


def test_a_runtime_that_cannot_read_what_was_written_is_one_sentence(exported):
    form = exported("qwen3", "merged")
    (form.folder / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(RunFailed, match="--check-rows 0"):
        form.answers()
