"""Beam search against transformers, whatever the vendor's generation config says."""

from collections import Counter

import pytest

from support.families import FAMILIES, START, count_host_reads, random_rows, reference_ids
from support.inference import NEW, reference, said
from yoyak.config.schema import BeamSearch
from yoyak.engine.inference import generate, next_token

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("architecture", ["bart", "qwen3"])
def test_beams_equal_transformers_alone(architecture, taught, encoded):
    model = taught(architecture)
    rows = encoded(model)[:6]
    ours = said(generate.generate(model, rows, BeamSearch(num_beams=3), max_new_tokens=NEW))
    theirs = {row.id: model.tokenizer.decode(reference(model, row, num_beams=3)) for row in rows}
    assert ours == theirs


LONG = {"num_beams": 3, "length_penalty": 2.0, "min_new_tokens": 5}
SETTINGS = (
    {"num_beams": 2},
    {"num_beams": 4, "length_penalty": 0.5},
    {"num_beams": 3, "length_penalty": -1.0, "no_repeat_ngram_size": 2},
)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        *((name, LONG) for name in FAMILIES),
        *(
            (name, settings)
            for name in ("llama", "gemma3", "pegasus", "t5")
            for settings in SETTINGS
        ),
    ],
)
def test_the_best_beam_of_every_family_equals_transformers(name, settings, random_model):
    bundle, rows = random_model(name), random_rows(7)
    if bundle.kind == "causal":
        # transformers looks for repeated n-grams in the prompt of these, too.
        settings = {key: value for key, value in settings.items() if "ngram" not in key}
    job = generate.DecodeJob(bundle, BeamSearch(**settings), 20, (START,))
    answers = generate.decoded(job, rows)
    assert answers == [reference_ids(bundle, row, 20, **settings) for row in rows]


@pytest.mark.parametrize("name", ["bart", "t5"])
def test_beams_share_the_states_of_their_source(name, random_model, monkeypatch):
    bundle, rows, sizes = random_model(name), random_rows(5), []
    job = generate.DecodeJob(bundle, BeamSearch(num_beams=3), 12, (START,))
    right = next_token.shared_attention

    def watched(module, query, key, *rest, **settings):
        sizes.append((query.shape[0], key.shape[0]))
        return right(module, query, key, *rest, **settings)

    monkeypatch.setattr(next_token, "shared_attention", watched)
    shared = generate.decoded(job, rows)
    assert sizes.count((15, 5)) == sizes.count((15, 15)) > 0, "cross-attention, self-attention"
    bundle.model.set_attn_implementation("eager")
    try:
        assert generate.decoded(job, rows) == shared, "each beam has its own copy"
    finally:
        bundle.model.set_attn_implementation("sdpa")


@pytest.mark.parametrize("name", ["llama", "gemma3", "bart", "t5"])
def test_the_host_waits_at_most_once_for_eight_tokens(name, random_model):
    bundle, rows, answers = random_model(name), random_rows(5), []
    decode = BeamSearch(num_beams=3, no_repeat_ngram_size=2)
    job = generate.DecodeJob(bundle, decode, 40, (bundle.tokenizer.stop_id,))
    reads = count_host_reads(lambda: answers.extend(generate.decoded(job, rows)))
    assert {len(ids) for ids in answers} == {40}
    assert reads.total() <= 40 / 8


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


def test_a_step_makes_few_tensors_of_the_size_of_the_vocabulary(random_model):
    from torch.utils._python_dispatch import TorchDispatchMode

    bundle, rows, new, beams = random_model("bart"), random_rows(5), 8, 4
    vocabulary = bundle.tokenizer.vocab_size
    made = Counter()

    class Large(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            found = function(*args, **(kwargs or {}))
            shape = tuple(getattr(found, "shape", ()))
            if not function.is_view and shape[-1:] == (vocabulary,) and shape[0] > 1:
                made[function.name()] += 1
            return found

    job = generate.DecodeJob(bundle, BeamSearch(num_beams=beams), new, (bundle.tokenizer.stop_id,))
    with Large():
        generate.decoded(job, rows)
    del made["aten::_to_copy"], made["aten::_unsafe_view"]  # from float64, and a view
    # The head's product and its bias, log probabilities, and what forbids tokens, in place; once
    # that penalty and copies for the beams.
    assert made.total() <= 4 * new + 5, made
