"""The moving average of the weights: against torch's own, and through training and resume."""

import pytest

from support.training import run_training, train
from yoyak.errors import Interrupted
from yoyak.events import Evaluated

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.models import weights as saved_weights  # noqa: E402
from yoyak.engine.pipeline.start import start_state  # noqa: E402
from yoyak.engine.training.trainer import supervised_step  # noqa: E402
from yoyak.engine.training.weight_average import WeightAverage  # noqa: E402

EMA = ("train.ema_decay=0.9", "train.max_steps=7", "train.epochs=9")


def test_the_average_is_that_of_torch():
    from torch.optim.swa_utils import AveragedModel

    model = torch.nn.Linear(3, 2)
    updates = iter(range(100))

    def rule(average, current, _count):
        number = next(updates) // 2  # the weight, then the bias
        decay = min(0.9, (1 + number) / (10 + number))
        return decay * average + (1 - decay) * current

    ours = WeightAverage(dict(model.named_parameters()), 0.9)
    theirs = AveragedModel(model, avg_fn=rule)
    theirs.n_averaged += 1  # it takes its first update for the start
    for _ in range(40):
        with torch.no_grad():
            for value in model.parameters():
                value.add_(torch.randn_like(value))
        ours.update()
        theirs.update_parameters(model)
    for name, value in theirs.module.named_parameters():
        torch.testing.assert_close(ours.tensors[name], value.detach())


def test_weights_come_back_after_the_average_stood_in_for_them():
    model = torch.nn.Linear(2, 1)
    average = WeightAverage(dict(model.named_parameters()), 0.9)
    with torch.no_grad():
        model.weight.add_(1)
    trained, start = model.weight.detach().clone(), average.tensors["weight"].clone()
    with average.in_place():
        assert torch.equal(model.weight, start)
    assert torch.equal(model.weight, trained)
    assert torch.equal(average.tensors["weight"], start)


def test_training_with_an_average_leaves_the_weights_as_they_would_be(context, bits):
    plain, averaged = (
        context("bart", *EMA[1:], "evaluate.every_epochs=none", *sets, folder=None)
        for sets in ((), EMA[:1])
    )
    for made in (plain, averaged):
        state = start_state(made)
        for _ in range(3):
            state = supervised_step(made, state)
    assert bits(plain.optimizer) == bits(averaged.optimizer)
    moved = averaged.optimizer.average.tensors
    assert any(
        not torch.equal(moved[name], value) for name, value in averaged.optimizer.named.items()
    )


def test_the_average_resumes_bit_for_bit(context, tmp_path):
    def ended(made):
        state = train(made)
        average = made.optimizer.average
        return state, {name: value.clone() for name, value in average.tensors.items()}

    sets = (*EMA, "evaluate.every_epochs=none")
    whole = ended(context("bart", *sets, folder=tmp_path / "whole"))
    steps = iter(range(100))
    broken = context("bart", *sets, folder=tmp_path / "cut", stop=lambda: next(steps) >= 4)
    with pytest.raises(Interrupted):
        train(broken)
    again = ended(context("bart", *sets, folder=tmp_path / "cut"))
    assert again[0].step == whole[0].step == 7
    assert all(torch.equal(again[1][name], value) for name, value in whole[1].items())


def test_both_are_evaluated_the_better_is_exported_and_recorded(job):
    asked = job("bart", *EMA, "evaluate.rows=2", "evaluate.metric=eval_loss")
    run_training(asked)
    found = [event for event in job.said if isinstance(event, Evaluated)]
    assert [(event.step, event.averaged) for event in found][:3] == [
        (0, False), (4, False), (4, True),
    ]  # fmt: skip
    best = min((event for event in found if event.step), key=lambda event: event.loss)
    written = saved_weights.read(asked.folder / saved_weights.FOLDER)
    assert (written.step, written.averaged) == (best.step, best.averaged)
    assert written.dev_value == best.loss


def test_the_average_is_exported_where_nothing_is_evaluated(job, context):
    from safetensors.torch import load_file

    asked = job("bart", *EMA, "evaluate.every_epochs=none")
    run_training(asked)
    made = context("bart", *EMA, "evaluate.every_epochs=none", folder=asked.folder)
    state = made.checkpoints.optimizer_state(7, made.optimizer.bundle.device)
    exported = load_file(asked.folder / "weights" / "model.safetensors")
    name = "model.encoder.layers.0.fc1.weight"
    assert torch.equal(exported[name], state[f"ema/{name}"])
    assert saved_weights.read(asked.folder / saved_weights.FOLDER).averaged
