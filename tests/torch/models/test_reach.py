"""Parts that no gradient reaches are found, against a plain backward pass of transformers."""

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from support.architectures import CAUSAL, SEQ2SEQ  # noqa: E402
from yoyak.config.schema import LoraSettings  # noqa: E402
from yoyak.engine.models.lora import add_lora  # noqa: E402
from yoyak.engine.models.model import trainable_parameters  # noqa: E402
from yoyak.engine.models.reach import (  # noqa: E402
    freeze_unreached,
    linear_layers,
    unreached_linear_layers,
)


def backward(model, seq2seq):
    """The gradient of the model's own loss on a row that has nothing to do with the probe."""
    ids = torch.arange(20, 32)[None]
    model(input_ids=ids, labels=ids[:, :5] if seq2seq else ids).loss.backward()


@pytest.mark.parametrize("architecture", [*SEQ2SEQ, *CAUSAL])
def test_every_adapter_and_every_parameter_left_gets_a_gradient(toy, architecture):
    for adapted in (False, True):
        model = toy(architecture).model
        if adapted:
            model = add_lora(model, LoraSettings(), toy(architecture).kind, 1)
            with torch.no_grad():
                for name, value in model.named_parameters():
                    if ".lora_B." in name:
                        value.normal_()
        else:
            freeze_unreached(model)
        backward(model.eval(), architecture in SEQ2SEQ)
        named = trainable_parameters(model)
        assert named
        assert [name for name, value in named.items() if value.grad is None] == []


def test_the_pooler_of_a_bert_is_left_out(toy):
    model = toy("bert2bert").model
    assert unreached_linear_layers(model) == ["encoder.pooler.dense"]
    assert freeze_unreached(model) == ["encoder.pooler.dense.weight", "encoder.pooler.dense.bias"]
    assert all(value.grad is None for value in model.parameters())


def test_a_vision_tower_is_left_out_and_nothing_else(toy):
    unreached = unreached_linear_layers(toy("gemma3-vision").model)
    assert {name.split(".")[1] for name in unreached} == {"vision_tower"}
    assert unreached_linear_layers(toy("gemma3").model) == []


def test_a_sinusoidal_table_is_frozen_when_loaded(toy, tmp_path):
    from transformers import AutoModelForSeq2SeqLM

    toy("pegasus").model.save_pretrained(tmp_path)
    model = AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
    tables = ["model.encoder.embed_positions.weight", "model.decoder.embed_positions.weight"]
    assert freeze_unreached(model) == tables


def test_transposed_layers_count_and_the_head_does_not(toy):
    names = linear_layers(toy("gpt2").model)
    assert len(names) == 8
    assert "lm_head" not in names


def test_mode_and_gradients_are_left_as_they_were(toy):
    model = toy("t5").model.train()
    unreached_linear_layers(model)
    freeze_unreached(model)
    assert model.training
    assert all(value.grad is None and value.requires_grad for value in model.parameters())
