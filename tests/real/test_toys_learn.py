"""A toy learns from real dialogues: above its own start by more than both intervals."""

import pytest

from yoyak.config.load import resolve
from yoyak.data.corpus import read_corpus
from yoyak.engine import TrainJob, load
from yoyak.events import Evaluated, TrainStep
from yoyak.values import Split

pytestmark = [pytest.mark.real, pytest.mark.torch]

ROWS, DEV_ROWS = 320, 40


def first(split, count):
    name = f"{split.fingerprint}-{count}"
    return Split(name=split.name, dialogues=split.dialogues[:count], fingerprint=name)


def test_dev_rises_clearly_above_the_start_and_the_loss_falls(shared, tmp_path):
    pytest.importorskip("torch")
    corpus = read_corpus(shared / "data" / "contest")
    said = []
    recipe = resolve("tiny-bart", sets=["train.epochs=4"]).recipe
    load(recipe.engine).train(
        TrainJob(
            recipe=recipe,
            train=first(corpus.train, ROWS),
            dev=first(corpus.dev, DEV_ROWS),
            folder=tmp_path,
            emit=said.append,
            stop_asked=lambda: False,
        )
    )
    judged = [event for event in said if isinstance(event, Evaluated)]
    start, best = judged[0], max(judged[1:], key=lambda event: event.rouge.mean)
    assert start.step == 0
    assert best.interval.low > start.interval.high
    assert judged[-1].loss < start.loss
    assert judged[-1].loss_interval.high < start.loss_interval.low
    losses = [event.loss for event in said if isinstance(event, TrainStep)]
    assert sum(losses[-10:]) < 0.95 * sum(losses[:10])
