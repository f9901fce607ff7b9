"""Merged weights: bfloat16, in shards, the adapters in them, read by transformers alone."""

import json

import pytest

import torch  # noqa: TID253 -- pytest leaves this folder alone where torch is not wanted
from support.exports import summaries_of_card
from yoyak.engine.formats import pretrained
from yoyak.engine.models.weights import read_tensors

pytestmark = pytest.mark.torch


@pytest.mark.parametrize(
    "architecture",
    ["qwen3", *(pytest.param(each, marks=pytest.mark.slow) for each in ("bart", "t5", "llama"))],
)
def test_the_shards_are_bfloat16_and_answer_from_the_same_prompts(
    architecture, exported, monkeypatch
):
    monkeypatch.setattr(pretrained, "SHARD_SIZE", "100KB")
    form = exported(architecture, "merged")
    index = json.loads((form.folder / "model.safetensors.index.json").read_text())
    assert len(set(index["weight_map"].values())) > 1
    written = read_tensors(form.folder)
    trained = read_tensors(form.request.engine_folder / "weights")
    assert written.keys() == trained.keys()
    for name, value in trained.items():
        torch.testing.assert_close(written[name], value.bfloat16(), rtol=0, atol=0)
    texts, prompts = form.answers()
    assert prompts == [True] * len(form.rows)
    assert any(texts)
    assert json.loads((form.folder / "config.json").read_text())["dtype"] == "bfloat16"
    printed, answered = summaries_of_card(form, monkeypatch)
    assert printed == answered != ""


def test_whole_weights_as_trained_answer_exactly_as_the_engine(exported):
    form = exported("qwen3", None)
    texts, prompts = form.answers()
    assert (form.record.form, form.record.quantisation) == ("whole", "float32")
    assert prompts == [True] * len(form.rows)
    assert texts == form.said


def test_adapters_are_in_the_merged_weights(adapted, tmp_path):
    import transformers as hf

    from yoyak.engine.formats.export import ExportRequest, write_export
    from yoyak.engine.models import weights
    from yoyak.engine.models.load import SCRATCH
    from yoyak.engine.models.model import ModelBundle

    toy = adapted("llama")
    for name, value in toy.model.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(value, std=0.3)
    run, target = tmp_path / "run", tmp_path / "out"
    target.mkdir()
    base = hf.AutoModelForCausalLM.from_config(toy.model.get_base_model().config)
    plain = {
        key.replace(".base_layer", ""): value
        for key, value in toy.model.get_base_model().state_dict().items()
        if "lora_" not in key
    }
    base.load_state_dict(plain)
    base.save_pretrained(run / SCRATCH)
    saved = weights.SavedWeights(
        form="adapters", base=SCRATCH, revision=None, base_sha256="", learning_hash="",
        data_sha256="", step=1, max_new_tokens=8,
    )  # fmt: skip
    bundle = ModelBundle(toy.model, toy.tokenizer, toy.kind, toy.device)
    weights.write(run / weights.FOLDER, saved, bundle)
    write_export(ExportRequest("run", run, toy.recipe, "merged"), target)
    assert not (target / "adapter_config.json").exists()
    merged = hf.AutoModelForCausalLM.from_pretrained(target, dtype=torch.float32).eval()
    ids = torch.arange(20, 50)[None]
    with torch.no_grad():
        expected, found = toy.model.eval()(ids).logits, merged(ids).logits
        without = base.eval()(ids).logits
    assert (found - expected).abs().mean() < 0.05 * (without - expected).abs().mean()
