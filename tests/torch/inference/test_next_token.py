"""Scores of the next token are those of the whole sequence, however a batch is read."""

import pytest

import torch  # noqa: TID253 -- pytest leaves this folder alone where torch is not wanted
from support.families import CAUSAL, FAMILIES, random_rows
from yoyak.engine.inference import next_token
from yoyak.engine.models.model import transformer_blocks

pytestmark = pytest.mark.torch


@torch.no_grad()
def uncached(bundle, row, new):
    """The logits after one row's source and new ids, by one pass without a cache."""
    source, new = torch.tensor([row.source_ids]), torch.tensor([new], dtype=torch.long)
    if bundle.kind == "causal":
        return bundle.model(input_ids=torch.cat([source, new], 1), use_cache=False).logits[0, -1]
    start = torch.tensor([[bundle.tokenizer.decoder_start_id]])
    decoder = torch.cat([start, new], 1)
    output = bundle.model(input_ids=source, decoder_input_ids=decoder, use_cache=False)
    return output.logits[0, -1]


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("tokens", [24, 2048], ids=["row-by-row", "at-once"])
def test_scores_equal_those_of_a_pass_without_a_cache(name, tokens, random_model, monkeypatch):
    monkeypatch.setitem(next_token.PREFILL_TOKENS, "cpu", tokens)
    bundle, rows = random_model(name), random_rows(6)
    if name != "longt5":  # it has no answer to less than a block
        rows[2] = rows[2]._replace(id="one token", source_ids=(7,))
    steps = [torch.arange(6) + 5, torch.arange(6) + 20, torch.arange(6) + 9]
    with torch.no_grad():
        head = next_token.next_token_scores(bundle, rows, 4)
        found = [head.scores(None), *(head.scores(step) for step in steps)]
    for index, row in enumerate(rows):
        for count, scores in enumerate(found):
            new = [int(step[index]) for step in steps[:count]]
            expected = uncached(bundle, row, new).float()
            torch.testing.assert_close(scores[index], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", CAUSAL)
def test_a_source_that_no_other_is_shorter_than_is_not_padded(name, random_model):
    bundle = random_model(name)
    rows = [row._replace(source_ids=row.source_ids[:4]) for row in random_rows(3)]
    with torch.no_grad():
        scores = next_token.next_token_scores(bundle, rows, 1).scores(None)
    for index, row in enumerate(rows):
        expected = uncached(bundle, row, []).float()
        torch.testing.assert_close(scores[index], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in CAUSAL if name != "qwen3.5"])
def test_of_a_prompt_the_last_block_computes_keys_and_values_only(name, random_model):
    bundle, ended = random_model(name), []
    first, *_, last = transformer_blocks(bundle.model.get_decoder())
    handles = [
        block.register_forward_hook(lambda *_, place=place: ended.append(place))
        for place, block in (("first", first), ("last", last))
    ]
    try:
        with torch.no_grad():
            head = next_token.next_token_scores(bundle, random_rows(4), 2)
            assert ended == ["first"]
            head.scores(None)
    finally:
        for handle in handles:
            handle.remove()
    assert ended == ["first", "first", "last"]


@pytest.mark.parametrize("name", ["llama", "gemma3", "bart"])
def test_no_score_depends_on_what_a_buffer_held_before(name, random_model):
    bundle, rows = random_model(name), random_rows(5)
    steps = [None, torch.arange(5) + 5, torch.arange(5) + 20]

    def scores():
        with torch.no_grad():
            head = next_token.next_token_scores(bundle, rows, 3)
            return torch.stack([head.scores(step) for step in steps])

    expected = scores()
    torch.use_deterministic_algorithms(True)  # fills what is allocated with NaN
    try:
        assert torch.empty(1).isnan().all()
        assert scores().equal(expected)
    finally:
        torch.use_deterministic_algorithms(False)
