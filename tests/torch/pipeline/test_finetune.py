"""The engines from a job to weights and from weights to summaries."""

import json

import msgspec
import pytest

from support.training import answers, run_training
from yoyak import events
from yoyak.config.schema import Greedy
from yoyak.errors import BadData, BadRecipe, Interrupted, RunFailed, Unavailable
from yoyak.values import StopReason

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from safetensors.torch import load_file  # noqa: E402

from yoyak.engine.models import fused_lora, weights  # noqa: E402
from yoyak.files import atomic  # noqa: E402

SURE = ("train.epochs=100", "train.learning_rate=8e-3", "model.scratch.width=64")
BY_HEART = (
    "train.batch_size=8",
    "train.micro_batch_size=8",
    "train.save_every_steps=1000",
    "evaluate.every_epochs=none",
)


def test_learns_eight_dialogues_by_heart(job):
    asked = job("bart", *BY_HEART, *SURE, rows=8)
    run_training(asked)
    said = answers(asked, asked.train.dialogues)
    for dialogue in asked.train.dialogues:
        assert said[dialogue.id].text == dialogue.references[0]
        assert said[dialogue.id].stop is StopReason.STOP_TOKEN


def test_a_4_bit_base_learns_through_its_adapters(job):
    asked = job("nf4", *BY_HEART, "train.epochs=50", "train.learning_rate=1e-2", rows=8)
    run_training(asked)
    losses = [event.loss for event in job.said if isinstance(event, events.TrainStep)]
    assert losses[-1] < 0.6 * losses[0]
    folder = asked.folder / "weights"
    assert (folder / "adapter_model.safetensors").is_file()
    assert not (folder / "model.safetensors").exists(), "the base is not copied"
    assert weights.read(folder).form == "adapters"


@pytest.mark.parametrize("form", ["bart", "nf4"])
def test_the_saved_weights_are_those_that_were_judged_best(form, job):
    sets = ("train.epochs=3", "train.learning_rate=5e-3", "evaluate.every_epochs=1")
    asked = job(form, *sets)
    run_training(asked)
    judged = [event for event in job.said if isinstance(event, events.Evaluated)]
    best = [event for event in judged if event.best][-1]
    described = weights.read(asked.folder / "weights")
    assert (described.step, described.dev_value) == (best.step, best.rouge.mean)
    assert best.rouge.mean == max(event.rouge.mean for event in judged)
    # Loaded again, they say what they were judged for.
    from yoyak.metrics.rouge import score_rows

    judged_with = Greedy(max_new_tokens=asked.recipe.decode.max_new_tokens)
    said = answers(asked, asked.dev.dialogues, judged_with)
    texts = [said[dialogue.id].text for dialogue in asked.dev.dialogues]
    scores = score_rows(texts, [dialogue.references for dialogue in asked.dev.dialogues])
    assert scores[:, :, 2].mean() == pytest.approx(best.rouge.mean, abs=1e-9)


def test_a_best_checkpoint_that_was_lost_is_not_pretended(job):
    def harm(event):
        job.said.append(event)
        if isinstance(event, events.TrainStep) and event.step == 7:
            (asked.folder / "checkpoints" / "step-000004" / "trainables.safetensors").unlink()

    # The rate is so small that no later judging is better.
    sets = ("train.max_steps=8", "train.learning_rate=1e-9", "evaluate.every_epochs=1")
    asked = job("bart", *sets, emit=harm)
    run_training(asked)
    assert [event.key for event in job.said if isinstance(event, events.Warned)] == [
        "engine.nothing-gained",
        "engine.best-lost",
    ]
    described = weights.read(asked.folder / "weights")
    assert (described.step, described.dev_value) == (8, None)


@pytest.mark.parametrize("form", ["bart", "lora", "nf4"])
def test_no_epochs_means_the_base_as_it_is(form, job):
    asked = job(form, "train.epochs=0")
    run_training(asked)
    folder = asked.folder / "weights"
    assert weights.read(folder).form == "base"
    assert not list(folder.glob("*.safetensors"))
    assert len(answers(asked, asked.dev.dialogues)) == 6
    assert not [event for event in job.said if isinstance(event, events.TrainStep)]


def test_what_is_done_is_not_done_again(job):
    asked = job("bart", "train.max_steps=2")
    run_training(asked)
    before = atomic.read_manifest(asked.folder / "weights")
    job.said.clear()
    run_training(asked)
    assert job.said == []
    assert atomic.read_manifest(asked.folder / "weights") == before
    run_training(job("bart", "train.max_steps=2", folder=asked.folder / "other"))
    assert job.said


def test_an_engine_refuses_what_is_not_its_kind(job):
    asked = job("nf4")
    wrong = msgspec.structs.replace(asked.recipe, engine="seq2seq")
    with pytest.raises(BadRecipe, match="does not go with"):
        run_training(asked._replace(recipe=wrong))


def test_weights_that_do_not_fit_their_config_are_named(job):
    short = job("bart", "train.epochs=0")
    run_training(short)
    config = short.folder / "base" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"d_model": 64}))
    sets = ("model.scratch=none", f"model.base={config.parent}")
    with pytest.raises(Unavailable, match="could not be loaded"):
        run_training(job("bart", *sets, folder=short.folder / "other"))


def test_an_answer_that_is_too_long_is_never_cut(job):
    with pytest.raises(BadData, match="Answers are never truncated"):
        run_training(job("bart", "prompt.max_summary_tokens=8"))


def test_fused_layers_that_fail_their_check_are_given_up_unless_asked_for(
    job, monkeypatch, tmp_path
):
    real = fused_lora._rotate
    monkeypatch.setattr(
        fused_lora, "_rotate", lambda both, cos, sin, _sign: real(both, cos, sin, 1)
    )
    sets = ("train.max_steps=4", "train.epochs=9", "evaluate.every_epochs=none")

    def trained(name, kernels, stop=lambda: False):
        asked = job("lora", *sets, f"train.kernels={kernels}", folder=tmp_path / name, stop=stop)
        run_training(asked)
        return load_file(asked.folder / "weights" / "adapter_model.safetensors")

    expected = trained("torch", "torch")
    assert not [each for each in job.said if isinstance(each, events.Warned)]
    steps = []

    def stops():
        steps.extend(each for each in job.said[-1:] if isinstance(each, events.TrainStep))
        return len(steps) == 2

    with pytest.raises(Interrupted):
        trained("auto", "auto", stop=stops)
    warned = [each.key for each in job.said if isinstance(each, events.Warned)]
    assert warned == ["engine.kernels-refused"]
    found = trained("auto", "auto")  # resumed
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    with pytest.raises(RunFailed, match=r"train\.kernels=torch"):
        trained("fused", "fused")
