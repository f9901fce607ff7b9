"""ONNX graphs in ONNX Runtime: the engine's answers at lengths that were not traced."""

import sys
from itertools import pairwise
from types import SimpleNamespace

import pytest

import torch  # noqa: TID253 -- pytest leaves this folder alone where torch is not wanted
from support.exports import record_of, summaries_of_card
from yoyak.config.load import resolve
from yoyak.config.schema import BeamSearch, Greedy
from yoyak.engine.formats import export, onnx
from yoyak.engine.formats.export import form_decode
from yoyak.engine.models.model import ModelBundle
from yoyak.errors import Unavailable
from yoyak.values import Message, Source

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
    printed, answered = summaries_of_card(form, monkeypatch)
    assert printed == answered != ""


class Bigrams(torch.nn.Module):
    """A language model whose next token depends on the last one alone."""

    def __init__(self, table):
        super().__init__()
        self.table = torch.nn.Embedding.from_pretrained(table)

    def forward(self, input_ids, attention_mask, use_cache):
        return SimpleNamespace(logits=self.table(input_ids) * attention_mask[..., None])

    def set_attn_implementation(self, name):
        assert name == "eager"


def test_a_graph_of_any_length_is_decoded_to_its_stop_without_banned_tokens(tokenizers, tmp_path):
    """Seconds instead of a minute: everything but the layers of a real architecture."""
    tokenizer = tokenizers["qwen3"]
    tokens = tokenizer.encode_answer("회의를 도서관에서 합니다.")
    source = Source(id="", messages=(Message(role="user", text="가"),))
    chain = [tokenizer.encode_source(source)[-1], *tokens, tokenizer.stop_id]
    assert len(set(chain)) == len(chain)
    banned = next(token for token in range(100, 400) if token not in chain)
    table = torch.zeros(tokenizer.vocab_size, tokenizer.vocab_size)
    for last, following in pairwise(chain):
        table[last, following], table[last, banned] = 2.0, 3.0
    onnx.write_onnx(ModelBundle(Bigrams(table), tokenizer, "causal", torch.device("cpu")), tmp_path)
    export.save_tokenizer(tokenizer, tmp_path)
    record = record_of(
        resolve("qwen3-4b").recipe, form="onnx", special_tokens=tokenizer.special_tokens,
        suppress_tokens=(banned,), max_new_tokens=50,
    )  # fmt: skip
    runtime = onnx.OnnxRuntime(tmp_path, record)
    (answer,) = runtime.answer([source])
    assert answer.text.strip() == "회의를 도서관에서 합니다."
    assert answer.prompt_ids == tuple(tokenizer.encode_source(source))


def test_it_decodes_greedily_without_bans():
    beam = BeamSearch(num_beams=3, max_new_tokens=9, no_repeat_ngram_size=2)
    assert form_decode("onnx", "seq2seq", beam) == Greedy(max_new_tokens=9)


def test_a_library_that_is_missing_is_named_with_the_command(exported, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(Unavailable, match=r"yoyak\[export\]"):
        exported("qwen3", "onnx")
