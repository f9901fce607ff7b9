"""Tolerances follow the arithmetic in force, and a bug cannot widen its own tolerance."""

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from support.tf32 import *  # noqa: E402, F403
from support.tf32 import rounded  # noqa: E402
from yoyak.engine.device import Precision  # noqa: E402
from yoyak.engine.preflight import check_context  # noqa: E402
from yoyak.engine.preflight.check_context import (  # noqa: E402
    CheckContext,
    distance,
    rounding_added,
    undisturbed,
)

FP32 = Precision(torch.float32, None)
BF16 = Precision(torch.float32, torch.bfloat16)


@pytest.fixture
def context(toy, encoded):
    def make(architecture, precision=FP32):
        model = toy(architecture)
        return CheckContext(model, encoded(model), precision)

    return make


def test_tf32_keeps_ten_bits_after_the_point():
    values = torch.tensor([1 + 2**-10, 1 + 2**-12, 1 + 3 * 2**-12, -3.0, 0.0])
    assert rounded(values).tolist() == [1 + 2**-10, 1.0, 1 + 2**-10, -3.0, 0.0]


@pytest.mark.parametrize("architecture", ["bart", "t5", "qwen3"])
def test_the_tolerance_is_that_of_the_arithmetic(context, tf32, architecture):
    full = context(architecture).tolerance
    half = context(architecture, BF16).tolerance
    with tf32():
        middle = context(architecture).tolerance
    assert 1e-5 <= full.logits <= 1e-4
    assert 1e-4 < middle.logits < 2e-2
    assert middle.logits < half.logits <= 0.15
    assert full.gradient <= middle.gradient <= half.gradient <= 0.15


def test_checks_in_bfloat16_leave_room_and_not_more_than_needed(context):
    """A sound model is at least three times within the tolerance, which is a tenth of a bug."""
    made = context("qwen3", BF16)
    with undisturbed(made.bundle):
        batched = made.logits(made.rows)
        alone = torch.cat([made.logits([row]) for row in made.rows])
    assert 3 * distance(batched, alone) < made.tolerance.logits < 0.1


@pytest.mark.parametrize("architecture", ["bart", "mbart", "t5", "pegasus", "qwen3"])
def test_a_model_trained_whole_passes_on_a_card_with_tf32(toy, red, tf32, architecture):
    model = toy(architecture)
    with tf32():
        assert red(model) == set()


def test_tf32_moves_a_bart_by_more_than_float32_may(context, tf32):
    """What a card did: 3e-4 apart, where float32's tolerance refused it."""
    made = context("bart")
    with undisturbed(made.bundle), tf32():
        batched = made.logits(made.rows)
        alone = torch.cat([made.logits([row]) for row in made.rows])
        assert 1e-4 < distance(batched, alone) < made.tolerance.logits


def test_rows_that_see_each_other_are_found_under_tf32(toy, red, tf32, monkeypatch):
    right = check_context.supervised_logits

    def leaking(model, batch):
        logits = right(model, batch)
        return logits + 0.05 * logits.mean(0, keepdim=True)

    model = toy("bart")
    monkeypatch.setattr(check_context, "supervised_logits", leaking)
    with tf32():
        assert "batch-equals-single" in red(model)


def test_a_bug_of_batches_does_not_widen_the_tolerance(context, monkeypatch):
    sound = context("bart").tolerance
    right = check_context.collate

    def unmasked(*rows, **settings):
        batch = right(*rows, **settings)
        return batch._replace(attention_mask=torch.ones_like(batch.attention_mask))

    monkeypatch.setattr(check_context, "collate", unmasked)
    assert context("bart").tolerance == sound


def test_measuring_changes_nothing(context):
    made = context("bart")
    before = [value.clone() for value in made.bundle.model.parameters()]
    random = torch.get_rng_state()
    assert made.tolerance == context("bart").tolerance
    assert torch.equal(torch.get_rng_state(), random)
    after = made.bundle.model.parameters()
    assert all(torch.equal(one, two) for one, two in zip(before, after, strict=True))
    assert not made.bundle.model.lm_head._forward_hooks
    with rounding_added(made.bundle.model, 0.5):
        assert made.bundle.model.lm_head._forward_hooks


def test_a_distance_of_nothing_comparable_is_infinite():
    one = torch.tensor([1.0, 2.0, 3.0])
    assert distance(one, one) == 0.0
    assert distance(one + 0.5, one) == pytest.approx(0.5 / one.std(correction=0).item())
    assert distance(one, one[:2]) == float("inf")
    assert distance(one * float("nan"), one) == float("inf")
