"""What a model consists of, and how many positions its rows need."""

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.models.model import (  # noqa: E402
    ModelBundle,
    model_parts,
    positions_needed,
    refuse_beyond_positions,
    transformer_blocks,
    unwrap_model,
)
from yoyak.engine.tokenization.encode import EncodedRow  # noqa: E402
from yoyak.errors import BadRecipe  # noqa: E402


@pytest.mark.parametrize("architecture", ["bart", "llama", "qwen3"])
def test_backbone_and_head_make_the_logits_of_the_whole_model(architecture, toy, adapted):
    for model in (toy(architecture).model, adapted(architecture).model.eval()):
        backbone, head, bias = model_parts(model)
        ids = torch.arange(5, 25).reshape(2, 10)
        inputs = {"input_ids": ids}
        if architecture == "bart":
            inputs["decoder_input_ids"] = ids[:, :4]
        with torch.no_grad():
            logits = head(backbone(**inputs).last_hidden_state)
            expected = model(**inputs).logits
        torch.testing.assert_close(logits if bias is None else logits + bias, expected)


def test_blocks_and_the_model_below_adapters_are_found(toy, adapted):
    assert len(transformer_blocks(toy("bart").model)) == 4, "two of the encoder, two of the decoder"
    wrapped = adapted("llama").model
    assert len(transformer_blocks(wrapped)) == 2
    assert type(unwrap_model(wrapped)) is type(toy("llama").model)
    bare = toy("llama").model
    assert unwrap_model(bare) is bare


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
