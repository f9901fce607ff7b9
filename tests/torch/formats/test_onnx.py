"""ONNX graphs in ONNX Runtime: the engine's answers at lengths that were not traced."""

import sys

import pytest

from support.exports import printed_by_card
from yoyak.config.schema import BeamSearch, Greedy
from yoyak.engine.formats.export import form_decode
from yoyak.errors import Unavailable

pytestmark = pytest.mark.torch
pytest.importorskip("onnxruntime", reason="the [export] extra is not installed")
pytest.importorskip("onnxscript", reason="the [export] extra is not installed")
SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "architecture",
    [pytest.param(name, marks=SLOW) for name in ("bart", "t5", "llama", "qwen2", "qwen3")],
)
def test_it_answers_as_the_engine_from_the_same_prompts(architecture, exported, monkeypatch):
    form = exported(architecture, "onnx")
    texts, prompts = form.answers()
    assert prompts == [True] * len(form.rows)
    assert texts == form.said
    assert len(set(texts)) > 1
    assert printed_by_card(form.card(), form.folder, monkeypatch).strip()


def test_it_decodes_greedily_without_bans():
    beam = BeamSearch(num_beams=3, max_new_tokens=9, no_repeat_ngram_size=2)
    assert form_decode("onnx", "seq2seq", beam) == Greedy(max_new_tokens=9)


def test_a_library_that_is_missing_is_named_with_the_command(exported, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(Unavailable, match=r"yoyak\[export\]"):
        exported("qwen3", "onnx")
