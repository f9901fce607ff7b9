"""An encoder that answers from memory what it has read before."""

import pytest

from yoyak.config.schema import BeamSearch, Greedy, Sampling
from yoyak.engine.inference import generate
from yoyak.engine.inference.encoder_cache import cache_encoder_outputs
from yoyak.engine.tokenization.encode import encode_rows

pytestmark = pytest.mark.torch
DECODINGS = (Greedy(), BeamSearch(num_beams=2), Sampling())


@pytest.fixture
def counted(toy, dialogues):
    """A model from scratch, its rows, and how many sources its encoder has read."""
    model = toy("bart")
    rows = encode_rows(model.tokenizer, dialogues[:12], model.recipe.prompt, with_answers=False)
    encoder = model.model.get_encoder()
    read, sizes = encoder.forward, []

    def counting(input_ids, attention_mask, **further):
        sizes.append(len(input_ids))
        return read(input_ids=input_ids, attention_mask=attention_mask, **further)

    encoder.forward = counting
    return model, rows, sizes


def answers(model, rows, decoding):
    said = generate.generate(model, rows, decoding, max_new_tokens=12)
    return {one.id: one.raw for one in said}


def test_every_source_is_read_once_and_the_answers_stay(counted):
    model, rows, sizes = counted
    fresh = [answers(model, rows, decoding) for decoding in DECODINGS]
    sizes.clear()
    cache_encoder_outputs(model)
    assert [answers(model, rows, decoding) for decoding in DECODINGS] == fresh
    assert sum(sizes) == len(rows)
    assert answers(model, rows[::-2], Greedy()) == {row.id: fresh[0][row.id] for row in rows[::-2]}
    assert sum(sizes) == len(rows)


def test_what_does_not_fit_the_room_is_read_again(counted):
    model, rows, sizes = counted
    fresh = answers(model, rows, Greedy())
    sizes.clear()
    bytes_a_token = 32 * 4
    cache_encoder_outputs(model, cache_bytes=bytes_a_token * len(rows[0].source_ids))
    assert answers(model, rows, Greedy()) == fresh
    assert answers(model, rows, Greedy()) == fresh
    assert sum(sizes) == 2 * len(rows)
