"""The record of an exported model is read back as it was written, or refused with a sentence."""

import msgspec
import pytest

from support.exports import record_of
from yoyak.config import load
from yoyak.config.schema import BeamSearch, Greedy
from yoyak.engine.exported import FILE, ctranslate2_options, read_exported
from yoyak.errors import BadData, InputMissing


def test_a_record_comes_back_with_every_setting(tmp_path):
    written = record_of(load.resolve("qwen3-4b").recipe, form="merged")
    (tmp_path / FILE).write_bytes(msgspec.json.encode(written))
    assert read_exported(tmp_path) == written


def test_no_record_a_broken_one_and_a_newer_one_are_refused(tmp_path):
    with pytest.raises(InputMissing, match=r"export\.json"):
        read_exported(tmp_path)
    (tmp_path / FILE).write_text('{"form": "mer', "utf-8")
    with pytest.raises(BadData, match=r"export\.json"):
        read_exported(tmp_path)
    (tmp_path / FILE).write_text('{"format": 99}', "utf-8")
    with pytest.raises(BadData, match="99"):
        read_exported(tmp_path)


def test_the_longest_answer_is_the_decodings_own_limit_if_it_has_one():
    recipe = load.resolve("qwen3-4b").recipe
    assert record_of(recipe, decode=Greedy(), max_new_tokens=40).longest_answer == 40
    capped = record_of(recipe, decode=Greedy(max_new_tokens=7), max_new_tokens=40)
    assert capped.longest_answer == 7


def test_ctranslate2_gets_beam_search_with_its_penalty_and_limits():
    beam = BeamSearch(num_beams=3, length_penalty=0.8, min_new_tokens=2, no_repeat_ngram_size=3)
    options = ctranslate2_options(record_of(load.resolve("kobart").recipe, decode=beam))
    assert options["beam_size"] == 3
    assert options["length_penalty"] == 0.8
    assert options["min_decoding_length"] == 2
    assert options["no_repeat_ngram_size"] == 3
    assert options["max_input_length"] == 0
    causal = ctranslate2_options(record_of(load.resolve("qwen3-4b").recipe, decode=Greedy()))
    assert (causal["beam_size"], causal["include_prompt_in_result"]) == (1, False)
