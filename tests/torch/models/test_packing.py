"""Packed rows have the loss and the gradient of padded ones."""

from itertools import pairwise

import pytest

from support.kernels import lines
from yoyak.errors import BadRecipe, Unavailable

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.models import packing  # noqa: E402

FAMILIES = ("llama", "qwen2", "qwen3")


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_rows_have_the_loss_and_the_gradient_of_padded_ones(family, bench):
    line = lines(bench(family), packing="on")["packed-equals-padded"]
    assert line.passed, line.found


def test_a_packed_line_has_no_padding_and_supervises_the_same(bench):
    made = bench("qwen3")
    padded, packed = (made.batch(made.rows, packed=packed) for packed in (False, True))
    lengths = [len(row.source_ids) + len(row.answer_ids) - 1 for row in made.rows]
    assert packed.input_ids.shape == (1, sum(lengths))
    assert packed.packing.cu_seqlens.tolist() == [0, *torch.tensor(lengths).cumsum(0).tolist()]
    assert packed.packing.max_seqlen == max(lengths)
    assert packed.targets.tolist() == padded.targets.tolist()
    places = packed.input_ids.flatten()[packed.label_positions].tolist()
    assert places == padded.input_ids.flatten()[padded.label_positions].tolist()


def by_rows(query, key, value, *, cu_seq_q, scale, window_size, enable_gqa, **_):
    """What torch's varlen kernel does on a card, one row at a time."""
    assert window_size == (-1, 0)
    found = []
    for start, end in pairwise(cu_seq_q):
        sides = [side[start:end].transpose(0, 1) for side in (query, key, value)]
        row = torch.nn.functional.scaled_dot_product_attention(
            *sides, is_causal=True, scale=scale, enable_gqa=enable_gqa
        )
        found.append(row.transpose(0, 1))
    return torch.cat(found)


def without_switch(query, key, value, *, cu_seq_q, scale, window_size, cu_seq_k, max_q, max_k):
    """The signature of torch 2.11, whose kernel takes grouped heads unasked."""
    return by_rows(
        query, key, value, cu_seq_q=cu_seq_q, scale=scale, window_size=window_size, enable_gqa=True
    )


def before_windows(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, is_causal=False):
    """The signature of torch 2.10."""


def test_a_torch_without_windows_in_its_varlen_attention_cannot_pack(bench, monkeypatch):
    from torch.nn.attention import varlen

    monkeypatch.setattr(varlen, "varlen_attn", before_windows)
    card = bench("llama").bundle._replace(device=torch.device("cuda"))
    with pytest.raises(Unavailable, match=r"2\.11"), packing.varlen_attention(card):
        pass


@pytest.mark.parametrize("kernel", [by_rows, without_switch])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_attention_of_a_card_goes_by_bounds_and_needs_no_mask(
    family, kernel, bench, monkeypatch
):
    from torch.nn.attention import varlen
    from transformers import AttentionInterface, masking_utils

    made = bench(family)
    monkeypatch.setattr(varlen, "varlen_attn", kernel)
    AttentionInterface.register(packing.ATTENTION, packing.varlen_forward)
    config = made.bundle.model.get_base_model().config
    plain = made.logits(made.rows)
    config._attn_implementation = packing.ATTENTION
    monkeypatch.setattr(
        masking_utils, "find_packed_sequence_indices", lambda _: pytest.fail("a mask is built")
    )
    from yoyak.engine.models.loss import supervised_logits

    with torch.no_grad():
        packed = supervised_logits(made.bundle.model, made.batch(made.rows, packed=True))
    assert torch.allclose(packed, plain, atol=1e-4)


def test_an_encoder_decoder_pads_and_says_so(context):
    with pytest.raises(BadRecipe, match="encoder-decoder"):
        context("bart", "train.packing=on")
