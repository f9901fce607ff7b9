"""What a model consists of, and how many positions its rows need."""

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.models.model import (  # noqa: E402
    ModelBundle,
    attention_function,
    position_limit,
    positions_needed,
    refuse_beyond_positions,
    transformer_blocks,
    unwrap_model,
)
from yoyak.engine.tokenization.encode import EncodedRow  # noqa: E402
from yoyak.errors import BadRecipe  # noqa: E402


def test_blocks_and_the_model_below_adapters_are_found(toy, adapted):
    assert len(transformer_blocks(toy("bart").model)) == 4, "two of the encoder, two of the decoder"
    wrapped = adapted("llama").model
    assert len(transformer_blocks(wrapped)) == 2
    assert type(unwrap_model(wrapped)) is type(toy("llama").model)
    bare = toy("llama").model
    assert unwrap_model(bare) is bare


def test_another_attention_counts_inside_its_block_only(toy):
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    model, calls = toy("llama").model, []

    def counted(module, *rest, **settings):
        calls.append(module.layer_idx)
        if module.layer_idx == 1:
            raise ZeroDivisionError
        return sdpa_attention_forward(module, *rest, **settings)

    def read():
        model(input_ids=torch.tensor([[5, 6, 7]]))

    with pytest.raises(ZeroDivisionError), attention_function(model.config, "counted", counted):
        read()
    read()
    assert calls == [0, 1]


def test_an_encoder_decoder_needs_its_longer_side_and_a_causal_model_the_sum():
    assert positions_needed("seq2seq", 500, 90) == 500
    assert positions_needed("seq2seq", 5, 90) == 90
    assert positions_needed("causal", 500, 90) == 590


def test_a_row_beyond_the_positions_is_named(toy):
    made = toy("bart")
    bundle = ModelBundle(made.model, made.tokenizer, made.kind, made.device)
    fits = EncodedRow("fits", (5,) * 600, (6,) * 600, shortened=False)
    long = EncodedRow("long", (5,) * 601, (6,), shortened=False)
    refuse_beyond_positions(bundle, [fits])
    with pytest.raises(BadRecipe, match="train row long needs 601 positions"):
        refuse_beyond_positions(bundle, [fits, long])


@pytest.mark.parametrize(
    ("architecture", "limit"),
    [("bart", 600), ("t5", None), ("bert2bert", 2048), ("gpt2", 2048), ("gemma3-vision", 2048)],
)
def test_the_position_limit_is_found_below_wrappers_and_in_parts(architecture, limit, toy):
    assert position_limit(toy(architecture).model) == limit


def test_an_encoder_with_fewer_positions_than_its_decoder_sets_the_limit(toy):
    model = toy("bert2bert").model
    model.get_encoder().config.max_position_embeddings = 512
    assert position_limit(model) == 512
