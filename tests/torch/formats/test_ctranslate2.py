"""A model in CTranslate2's format answers as the engine does, and its card's code runs."""

import sys

import pytest

from support.exports import summaries_of_card
from yoyak.config.schema import BeamSearch, Greedy, Sampling
from yoyak.engine.formats.export import form_decode
from yoyak.engine.models.weights import read_tensors
from yoyak.errors import BadRecipe, Unavailable

pytestmark = pytest.mark.torch
pytest.importorskip("ctranslate2", reason="the [export] extra is not installed")

SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "architecture",
    ["bart", "llama-narrow", pytest.param("t5", marks=SLOW), pytest.param("qwen2", marks=SLOW),
     pytest.param("qwen3", marks=SLOW)],
)  # fmt: skip
def test_it_answers_as_the_engine_from_the_same_prompts(architecture, exported, monkeypatch):
    form = exported(architecture, "ctranslate2")
    texts, prompts = form.answers()
    assert prompts == [True] * len(form.rows)
    assert texts == form.said
    assert len(set(texts)) > 1
    printed, answered = summaries_of_card(form, monkeypatch)
    assert printed == answered != ""


def test_int8_weights_are_smaller_and_still_answer(exported):
    form = exported("bart", "ctranslate2", "int8")
    texts, prompts = form.answers()
    assert form.record.quantisation == "int8"
    trained = read_tensors(form.request.engine_folder / "weights").values()
    as_float32 = 4 * sum(value.numel() for value in trained)
    assert (form.folder / "model.bin").stat().st_size < 0.5 * as_float32
    assert all(prompts)
    assert all(texts)


def test_decoding_it_does_not_have_becomes_greedy():
    sampled = form_decode("ctranslate2", "seq2seq", Sampling(max_new_tokens=7))
    assert sampled == Greedy(max_new_tokens=7)
    beam = BeamSearch(num_beams=3, no_repeat_ngram_size=2, length_cap_quantile=0.9)
    kept = BeamSearch(num_beams=3, no_repeat_ngram_size=2)
    assert form_decode("ctranslate2", "seq2seq", beam) == kept
    assert form_decode("ctranslate2", "causal", beam) == BeamSearch(num_beams=3)


def test_what_has_no_converter_and_what_is_not_installed_is_named(exported, monkeypatch):
    with pytest.raises(BadRecipe, match="exaone4"):
        exported("exaone4", "ctranslate2")
    with pytest.raises(BadRecipe, match="head_dim 64 × 2 ≠ hidden_size 64"):
        exported("llama", "ctranslate2")
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(Unavailable, match=r"yoyak\[export\]"):
        exported("bart", "ctranslate2")
