"""A base from scratch that was pretrained: the same bytes each time, and worth having."""

import pytest

from support.training import train
from yoyak.config.load import resolve
from yoyak.errors import BadRecipe
from yoyak.events import Evaluated

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.pipeline import (  # noqa: E402
    finetune,
    scratch_model,
)

BASE = "model.scratch.pretrain_epochs"


def of_texts(job, folder, epochs):
    """The loss of a base on the very summaries it may have read, and its identity."""
    asked = job("lora", f"{BASE}={epochs}", "train.epochs=0", folder=folder)
    ready = finetune.prepare(asked, "causal")
    pairs = scratch_model.examples(ready.bundle.tokenizer, asked.train)
    with torch.no_grad():
        losses = [
            ready.bundle.model(
                input_ids=torch.tensor([[*dialogue, *summary]]),
                labels=torch.tensor([[*(-100 for _ in dialogue), *summary]]),
            ).loss.item()
            for dialogue, summary in pairs
        ]
    weights = sorted((folder / "base").glob("*.safetensors"))
    return sum(losses) / len(losses), [path.read_bytes() for path in weights], pairs


def test_it_knows_the_texts_and_is_the_same_each_time(job, tmp_path):
    random, _, pairs = of_texts(job, tmp_path / "random", 0)
    loss, weights, _ = of_texts(job, tmp_path / "one", 12)
    again, same, _ = of_texts(job, tmp_path / "two", 12)
    assert loss < 0.8 * random
    assert (again, same) == (loss, weights)
    assert len(pairs) == 16


def test_adapters_rise_higher_above_it_than_above_a_random_base(context, tmp_path):
    sets = ("train.epochs=12", "evaluate.every_epochs=12", "train.learning_rate=5e-3")
    best = {}
    for epochs in (0, 12):
        context.said.clear()
        train(context("lora", *sets, f"{BASE}={epochs}", folder=tmp_path / str(epochs)))
        start, end = [event for event in context.said if isinstance(event, Evaluated)]
        assert end.loss_interval.high < start.loss_interval.low
        best[epochs] = end.loss
    assert best[12] < 0.95 * best[0]


def test_an_encoder_decoder_is_not_pretrained():
    with pytest.raises(BadRecipe, match="pretrain_epochs is for causal models"):
        resolve("tiny-bart", sets=[f"{BASE}=1"])
