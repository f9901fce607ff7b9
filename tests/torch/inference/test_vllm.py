"""vLLM beside our own decoders: the same ids, or it is not used."""

import sys

import pytest

import torch  # noqa: TID253 -- pytest leaves this folder alone where torch is not wanted
from support.families import random_rows
from yoyak import events
from yoyak.config.load import resolve
from yoyak.config.schema import BeamSearch, Greedy, Sampling
from yoyak.engine.inference import generate, vllm
from yoyak.errors import BadRecipe, Unavailable

pytestmark = pytest.mark.torch

NEW = 24


def told_by(job, folder):
    events_told = []
    decoder = vllm.vllm_decoder(job, random_rows(6), folder, events_told.append)
    return decoder, events_told


@pytest.mark.parametrize(
    ("decode", "named"),
    [
        (Sampling(), "decode.kind = sample"),
        (BeamSearch(num_beams=2), "decode.kind = beam"),
        (Greedy(no_repeat_ngram_size=3), "decode.no_repeat_ngram_size"),
    ],
)
def test_what_it_cannot_do_is_named(decode, named, random_model, tmp_path):
    job = generate.DecodeJob(random_model("qwen3"), decode, NEW, ())
    decoder, (warned,) = told_by(job, tmp_path)
    assert decoder is None
    assert (warned.key, warned.fields) == ("engine.vllm-cannot", {"what": named})


def test_4_bit_weights_have_to_be_merged_first(four_bit, tmp_path):
    job = generate.DecodeJob(four_bit("qwen3"), Greedy(), NEW, ())
    decoder, (warned,) = told_by(job, tmp_path)
    assert decoder is None
    assert "generate.weights" in warned.fields["what"]


def test_a_library_that_is_missing_is_named_with_the_command(random_model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(Unavailable, match=r"yoyak\[vllm\]"):
        told_by(generate.DecodeJob(random_model("qwen3"), Greedy(), NEW, ()), tmp_path)


def test_an_encoder_decoder_is_refused_with_the_rule():
    with pytest.raises(BadRecipe, match="vllm"):
        resolve("kobart", sets=("generate.library=vllm",))


def test_a_decoder_that_schedules_rows_gets_batches_whatever_memory_is_free(random_model):
    class Planted:
        schedules_rows = True
        sizes = []

        def __call__(self, job, batch):
            self.sizes.append(len(batch))
            return [[5] for _ in batch]

    rows = random_rows(100, longest=200)
    list(
        generate.generate(
            random_model("qwen3"), rows, Greedy(), max_new_tokens=4, decoder=Planted()
        )
    )
    assert Planted.sizes == [100]


@pytest.mark.process
@pytest.mark.parametrize("with_adapters", [False, True])
def test_it_says_what_our_decoder_says(with_adapters, adapted, encoded, tmp_path):
    pytest.importorskip("vllm", reason="the [vllm] extra is not installed")
    bundle = adapted("qwen3")
    bundle.model.eval()
    for name, value in bundle.model.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(value, std=0.1)
    before = dict(bundle.model.named_parameters())
    if not with_adapters:
        bundle = bundle._replace(model=bundle.model.merge_and_unload())
    rows, told = encoded(bundle), []
    job = generate.DecodeJob(bundle, Greedy(), NEW, tuple(range(40, 60)))
    decoder = vllm.vllm_decoder(job, rows, tmp_path, told.append)
    assert decoder is not None
    (compared,) = told
    assert isinstance(compared, events.BackendParityChecked)
    assert compared.check.passed
    assert decoder(job, rows) == generate.decoded(job, rows)
    assert not (tmp_path / vllm.FOLDER).exists(), "the weights do not stay"
    if with_adapters:
        assert dict(bundle.model.named_parameters()).keys() == before.keys()
