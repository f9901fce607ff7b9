"""A stop request ends generation at the next token, not after the batch."""

import pytest

from support.families import random_rows
from yoyak.config.schema import BeamSearch, Greedy, Sampling
from yoyak.engine import GenerationStopped
from yoyak.values import StopReason

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.inference.generate import generate  # noqa: E402
from yoyak.engine.inference.stop import stop_between_tokens  # noqa: E402
from yoyak.engine.tokenization.encode import encode_rows  # noqa: E402

TOKENS = 3


@pytest.mark.parametrize("architecture", ["bart", "qwen3"])
@pytest.mark.parametrize("decode", [Greedy(), Sampling(), BeamSearch(num_beams=2)])
def test_no_further_token_is_decoded_after_a_stop_request(architecture, decode, toy, dialogues):
    model = toy(architecture)
    rows = encode_rows(model.tokenizer, dialogues[:4], model.recipe.prompt, with_answers=False)
    asked = []

    def stop_asked():
        asked.append(None)
        return len(asked) > TOKENS

    answers = generate(model, rows, decode, max_new_tokens=40)
    with pytest.raises(GenerationStopped), stop_between_tokens(model.model, stop_asked):
        list(answers)
    assert len(asked) == TOKENS + 1, "polled once a token, and not again after the stop"
    assert not model.model._forward_pre_hooks
    assert len(list(generate(model, rows, decode, max_new_tokens=4))) == 4


def test_rows_that_were_done_before_a_stop_request_are_kept(random_model):
    bundle, rows, asked, kept = random_model("llama"), random_rows(9), [], []

    def stop_asked():
        asked.append(None)
        return len(asked) > 12

    def save():
        for prediction in generate(bundle, rows, Greedy(), max_new_tokens=20):
            kept.append(prediction)  # noqa: PERF402 -- extend would keep none of them

    with pytest.raises(GenerationStopped), stop_between_tokens(bundle.model, stop_asked):
        save()
    assert 0 < len(kept) < len(rows)
    assert all(prediction.stop is StopReason.STOP_TOKEN for prediction in kept)
