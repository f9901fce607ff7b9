"""How steps are computed may change in mid-run; what they learn may not."""

import time

import pytest

from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.errors import RunFailed
from yoyak.events import Failed, Prepared, Started, Stepped, Warned
from yoyak.queue import prepare, retry
from yoyak.queue.stages import Work, carry_out
from yoyak.store.project import Project
from yoyak.store.workspace import Workspace

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine import loop  # noqa: E402
from yoyak.engine.learner import Learner  # noqa: E402

SETS = ("train.max_steps=6", "train.epochs=9", "evaluate.every_epochs=none", "lora.dropout=0.0")


@pytest.fixture
def run(tmp_path):
    """A run of real engines, as ``yoyak run`` prepares it."""
    sets = (
        *SETS, "model.scratch.vocabulary=500", "model.scratch.pretrain_epochs=0",
        "train.save_every_steps=2", "decode.max_new_tokens=4", "prompt.max_summary_tokens=384",
    )  # fmt: skip
    corpus = read_corpus(sample.folder())
    names, place = ["tiny-qlora"], Workspace(tmp_path / "workspace")
    (made,) = prepare.prepare(place, corpus, names, Project(), sets)
    return Work(made, corpus, lambda: False)


def test_a_rung_after_a_checkpoint_goes_on_from_it_and_comes_to_the_end(run, monkeypatch):
    """Memory runs out where the engine's own replay cannot see it: in the optimiser."""
    apply, left = Learner.apply, [5]  # one of them is the rehearsal's

    def starve(learner, rate):
        left[0] -= 1
        if left[0] < 0:
            raise MemoryError
        apply(learner, rate)

    monkeypatch.setattr(Learner, "apply", starve)
    with pytest.raises(MemoryError):
        carry_out(run)
    failed = Failed(at=time.time(), kind="MemoryError", message="")
    assert retry.judge(70, failed, retry.Tries()) is retry.Verdict.SMALLER
    run.run.emit(Warned(at=time.time(), key=retry.SMALLER_KEY, fields={}))
    monkeypatch.setattr(Learner, "apply", apply)
    carry_out(run)
    told = [event for event in run.run.events() if isinstance(event, Stepped)]
    assert [event.step for event in told] == [1, 2, 3, 4, 5, 6], "nothing is done twice"
    (warned,) = [
        event for event in run.run.events()
        if isinstance(event, Warned) and event.key == "engine.computed-otherwise"
    ]  # fmt: skip
    assert warned.fields["step"] == "4"
    assert "train.micro_batch_tokens None → 2048" in warned.fields["changes"]
    assert run.run.scorecard("dev") is not None


def test_the_losses_after_the_change_are_those_without_it(course, tmp_path):
    loop.train(course("lora", *SETS, folder=tmp_path / "whole"))
    expected = [event.loss for event in course.said if isinstance(event, Stepped)]
    course.said.clear()
    half = course("lora", *SETS, "train.micro_batch_rows=4")
    asked = iter([False] * 3)
    half = half._replace(job=half.job._replace(stop_asked=lambda: next(asked, True)))
    with pytest.raises(Exception, match="everything is saved"):
        loop.train(half)
    sets = ("train.micro_batch_rows=1", "train.gradient_checkpointing=on")
    progress = loop.train(course("lora", *SETS, *sets))
    losses = [event.loss for event in course.said if isinstance(event, Stepped)]
    assert losses == pytest.approx(expected, rel=1e-5)
    assert progress.recompute == "on"


def test_another_learning_rate_is_refused_with_that_and_only_that(course):
    loop.train(course("bart", "train.max_steps=3", "train.learning_rate=4e-3"))
    sets = ("train.max_steps=3", "train.learning_rate=1e-3", "train.micro_batch_rows=1")
    with pytest.raises(RunFailed, match=r"train.learning_rate 0.004 → 0.001") as caught:
        loop.train(course("bart", *sets))
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
    before, learnt, now, budget, course
):
    loop.train(course("lora", "train.max_steps=1", f"train.micro_batch_tokens={before}"))
    again = course("lora", "train.max_steps=1", f"train.micro_batch_tokens={now}")
    progress = again.checkpoints.newest()
    progress = loop.under_new_settings(
        again, type(progress)(budget_tokens=learnt, step=progress.step)
    )
    assert progress.budget_tokens == budget
    assert any(isinstance(event, Prepared | Started) for event in course.said)
