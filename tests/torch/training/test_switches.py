"""Rows are packed where that is faster and proved to be the same."""

import pytest

from support.kernels import lines
from support.training import train
from yoyak.errors import RunFailed

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.pipeline.start import load_checkpoint  # noqa: E402

FAMILIES = ("llama", "qwen2", "qwen3")
SETS = ("train.max_steps=6", "train.epochs=9", "evaluate.every_epochs=none")
PACKED = (*SETS, "train.packing=on", "train.micro_batch_size=4")


def test_the_probe_sees_a_mask_that_leaks(bench, monkeypatch):
    from transformers import masking_utils

    monkeypatch.setattr(masking_utils, "find_packed_sequence_indices", lambda positions: None)
    assert not lines(bench("qwen3"), packing="on")["packed-equals-padded"].passed


def test_the_probe_sees_positions_that_begin_anew_one_token_late(bench, monkeypatch):
    from yoyak.engine.models import collate

    packed = collate._packed

    def late(rows, device):
        batch = packed(rows, device)
        moved = batch.packing._replace(position_ids=batch.packing.position_ids.roll(1))
        return batch._replace(packing=moved)

    monkeypatch.setattr(collate, "_packed", late)
    assert not lines(bench("llama"), packing="on")["packed-equals-padded"].passed


def test_a_packed_run_learns_what_a_padded_one_does_in_fewer_tokens(context, tmp_path):
    sets = ("lora.lora_dropout=0.0", "train.micro_batch_tokens=700")
    losses, tokens = {}, {}
    for way in ("off", "on"):
        made = context("lora", *PACKED, *sets, f"train.packing={way}", folder=tmp_path / way)
        seen = tokens[way] = []
        made.optimizer.bundle.model.get_base_model().model.register_forward_pre_hook(
            lambda _module, _args, given, seen=seen: seen.append(given["input_ids"].numel()),
            with_kwargs=True,
        )
        assert train(made).packed is (way == "on")
        losses[way] = [event.loss for event in context.said if hasattr(event, "loss")]
        context.said.clear()
    assert losses["on"] == pytest.approx(losses["off"], rel=1e-4)
    assert sum(tokens["on"]) < sum(tokens["off"])
    assert max(tokens["on"]) <= 700


def test_a_packed_run_is_gone_on_with_packed_and_ends_with_the_same_bits(context, bits, tmp_path):
    whole = context("nf4", *PACKED, folder=tmp_path / "whole")
    train(whole)
    made = context("nf4", *PACKED)

    def crash(event):
        if getattr(event, "step", 0) == 5:
            raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        train(made._replace(job=made.job._replace(emit=crash)))
    again = context("nf4", *PACKED)
    assert load_checkpoint(again).packed
    train(again)
    assert bits(again.optimizer) == bits(whole.optimizer)


def test_packing_that_is_switched_on_later_is_proved_first(context, monkeypatch):
    from transformers import masking_utils

    train(context("lora", *SETS, "train.packing=off", "train.max_steps=3"))
    later = context("lora", *SETS, "train.packing=on", "train.max_steps=3")
    with monkeypatch.context() as fault:
        fault.setattr(masking_utils, "find_packed_sequence_indices", lambda positions: None)
        with pytest.raises(RunFailed, match="packed rows give the gradient"):
            load_checkpoint(later)
    assert load_checkpoint(later).packed
