"""Beam search: transformers' own, whatever the vendor's generation config says."""

import pytest

from support.inference import NEW, reference, said
from yoyak.config.schema import BeamSearch
from yoyak.engine.inference import generate

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("architecture", ["bart", "qwen3"])
def test_beams_equal_transformers_alone(architecture, taught, encoded):
    model = taught(architecture)
    rows = encoded(model)[:6]
    ours = said(generate.generate(model, rows, BeamSearch(num_beams=3), max_new_tokens=NEW))
    theirs = {row.id: model.tokenizer.decode(reference(model, row, num_beams=3)) for row in rows}
    assert ours == theirs


@pytest.mark.parametrize("architecture", ["bart", "llama"])
def test_a_vendors_generation_config_has_no_say_and_is_put_back(architecture, toy, encoded):
    model = toy(architecture)
    rows = encoded(model)[:4]
    before = said(generate.generate(model, rows, BeamSearch(num_beams=2), max_new_tokens=8))
    vendors = model.model.generation_config
    vendors.repetition_penalty = 5.0
    vendors.temperature = 0.2
    vendors.forced_eos_token_id = 7
    assert said(generate.generate(model, rows, BeamSearch(num_beams=2), max_new_tokens=8)) == before
    assert model.model.generation_config is vendors
    assert vendors.forced_eos_token_id == 7
