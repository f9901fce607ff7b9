"""How steps are computed may change in mid-run; what they learn may not."""

import time

import pytest

from support.training import train
from yoyak.config.project import Project
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.errors import RunFailed
from yoyak.events import Failed, Prepared, Started, TrainStep, Warned
from yoyak.runs.workspace import Workspace
from yoyak.scheduler import create_runs, retry_policy
from yoyak.scheduler.stages import StageContext, run_stages

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.pipeline import start  # noqa: E402
from yoyak.engine.training.optimizer import ModelOptimizer  # noqa: E402

SETS = (
    "train.max_steps=6",
    "train.epochs=9",
    "evaluate.every_epochs=none",
    "lora.lora_dropout=0.0",
)


@pytest.fixture
def run(tmp_path):
    """A run of real engines, as ``yoyak run`` prepares it."""
    sets = (
        *SETS, "model.scratch.vocabulary=500", "model.scratch.pretrain_epochs=0",
        "train.save_every_steps=2", "decode.max_new_tokens=4", "prompt.max_summary_tokens=384",
    )  # fmt: skip
    corpus = read_corpus(sample.folder())
    names, place = ["tiny-qlora"], Workspace(tmp_path / "workspace")
    (made,) = create_runs.create_runs(place, corpus, names, Project(), sets)
    return StageContext(made, corpus, lambda: False)


def test_a_rung_after_a_checkpoint_goes_on_from_it_and_comes_to_the_end(run, monkeypatch):
    """Memory runs out where the engine's own replay cannot see it: in the optimiser."""
    apply, left = ModelOptimizer.step, [5]  # one of them is the rehearsal's

    def starve(optimizer, rate):
        left[0] -= 1
        if left[0] < 0:
            raise MemoryError
        apply(optimizer, rate)

    monkeypatch.setattr(ModelOptimizer, "step", starve)
    with pytest.raises(MemoryError):
        run_stages(run)
    failed = Failed(at=time.time(), kind="MemoryError", message="")
    assert (
        retry_policy.decide(70, failed, retry_policy.RetryCounts())
        is retry_policy.RetryAction.SMALLER
    )
    run.run.emit(Warned(at=time.time(), key=retry_policy.SMALLER_KEY, fields={}))
    monkeypatch.setattr(ModelOptimizer, "step", apply)
    run_stages(run)
    told = [event for event in run.run.events() if isinstance(event, TrainStep)]
    assert [event.step for event in told] == [1, 2, 3, 4, 5, 6], "nothing is done twice"
    (warned,) = [
        event for event in run.run.events()
        if isinstance(event, Warned) and event.key == "engine.computed-otherwise"
    ]  # fmt: skip
    assert warned.fields["step"] == "4"
    assert "train.micro_batch_tokens None → 2048" in warned.fields["changes"]
    assert run.run.scorecard("dev") is not None


def test_the_losses_after_the_change_are_those_without_it(context, tmp_path):
    train(context("lora", *SETS, folder=tmp_path / "whole"))
    expected = [event.loss for event in context.said if isinstance(event, TrainStep)]
    context.said.clear()
    half = context("lora", *SETS, "train.micro_batch_size=4")
    asked = iter([False] * 3)
    half = half._replace(job=half.job._replace(stop_asked=lambda: next(asked, True)))
    with pytest.raises(Exception, match="everything is saved"):
        train(half)
    sets = ("train.micro_batch_size=1", "train.gradient_checkpointing=on")
    progress = train(context("lora", *SETS, *sets))
    losses = [event.loss for event in context.said if isinstance(event, TrainStep)]
    assert losses == pytest.approx(expected, rel=1e-5)
    assert progress.recompute == "on"


def test_another_learning_rate_is_refused_with_that_and_only_that(context):
    train(context("bart", "train.max_steps=3", "train.learning_rate=4e-3"))
    sets = ("train.max_steps=3", "train.learning_rate=1e-3", "train.micro_batch_size=1")
    with pytest.raises(RunFailed, match=r"train.learning_rate 0.004 → 0.001") as caught:
        train(context("bart", *sets))
    assert "micro_batch" not in str(caught.value)


@pytest.mark.parametrize(
    ("before", "learnt", "now", "budget"),
    [
        ("512", 512, "256", 256),
        ("512", 128, "256", 128),
        ("512", 128, "512", 128),
        ("512", 128, "1024", 1024),
    ],
)
def test_a_budget_that_memory_taught_stays_unless_more_is_asked_for(
    before, learnt, now, budget, context
):
    train(context("lora", "train.max_steps=1", f"train.micro_batch_tokens={before}"))
    again = context("lora", "train.max_steps=1", f"train.micro_batch_tokens={now}")
    progress = again.checkpoints.newest()
    progress = start.under_new_settings(
        again, type(progress)(budget_tokens=learnt, step=progress.step)
    )
    assert progress.budget_tokens == budget
    assert any(isinstance(event, Prepared | Started) for event in context.said)
