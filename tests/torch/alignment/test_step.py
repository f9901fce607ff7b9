"""One step: which loss a method has, what memory and missing pairs do to it."""

from types import SimpleNamespace

import pytest

from support.alignment import InlineRewards

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak import events  # noqa: E402
from yoyak.config.schema import AlignSettings  # noqa: E402
from yoyak.engine.alignment import objectives  # noqa: E402
from yoyak.engine.alignment.policy import (  # noqa: E402
    Policy,
    ReferenceModel,
    TokenLogps,
    disable_dropout,
)
from yoyak.engine.alignment.samples import Candidates, Sampler, StepRecords  # noqa: E402
from yoyak.engine.alignment.step import (  # noqa: E402
    AlignInputs,
    AlignStepper,
    StepTensors,
    loss_of,
)
from yoyak.engine.training.checkpoint import TrainState  # noqa: E402

LOGPS = TokenLogps(
    torch.tensor([[-1.0, -2.0], [-0.5, 0.0], [-3.0, -1.0], [-0.2, -0.1], [-1.0, -1.0]]),
    torch.tensor([[1.0, 1.0], [1.0, 0.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]),
)
STEP = StepTensors(
    rewards=torch.tensor([[0.9, 0.1], [0.2, 0.4]]),
    distinct=torch.ones(2, 2, dtype=torch.bool),
    old=LOGPS.values,
    reference=LOGPS.values - 0.5,
    budget=8,
)


def test_each_setting_of_a_method_reaches_its_loss():
    plain = AlignSettings(method="mrt", kl=0.0, length_normalised=False)
    totals = torch.tensor([[-3.0, -0.5], [-4.0, -0.3]])
    shares = (0.5 * totals).softmax(-1)
    half = AlignSettings(method="mrt", kl=0.0, length_normalised=False, sharpness=0.5)
    assert loss_of(half, LOGPS, STEP) == pytest.approx(
        float(-(shares * STEP.rewards).sum(-1).mean())
    )
    averages = torch.tensor([[-1.5, -0.5], [-2.0, -0.15]])
    by_average = loss_of(AlignSettings(method="mrt", kl=0.0), LOGPS, STEP)
    shares = averages.softmax(-1)
    assert by_average == pytest.approx(float(-(shares * STEP.rewards).sum(-1).mean()))
    # The divergence is e^-0.5 + 0.5 - 1 at every token, summed over 2, 1, 2 and 2 of 8.
    each = float(torch.tensor(-0.5).exp()) - 0.5
    held = AlignSettings(method="mrt", kl=0.1, length_normalised=False)
    more = float(loss_of(held, LOGPS, STEP) - loss_of(plain, LOGPS, STEP))
    assert more == pytest.approx(0.1 * each * 7 / 4 / 8, rel=1e-4)
    # The reference summary stands behind the samples: two tokens of -1.
    likely = AlignSettings(method="mrt", kl=0.0, length_normalised=False, likelihood_weight=0.3)
    more = float(loss_of(likely, LOGPS, STEP) - loss_of(plain, LOGPS, STEP))
    assert more == pytest.approx(0.3)


def test_preferences_compare_sums_or_averages():
    chosen, rejected = torch.tensor([-3.0, -4.0]), torch.tensor([-0.5, -0.3])
    margin = torch.tensor([-3.0, -3.7])  # the reference is 0.5 less likely at each token
    found = loss_of(AlignSettings(method="dpo", beta=0.2), LOGPS, STEP)
    assert found == pytest.approx(float(objectives.dpo(chosen, rejected, margin, 0.2)))
    chosen, rejected = torch.tensor([-1.5, -2.0]), torch.tensor([-0.5, -0.15])
    margin = torch.tensor([-1.0, -1.85])
    found = loss_of(AlignSettings(method="ipo"), LOGPS, STEP)
    assert found == pytest.approx(float(objectives.ipo(chosen, rejected, margin, 0.1)))
    found = loss_of(AlignSettings(method="simpo"), LOGPS, STEP)
    assert found == pytest.approx(float(objectives.simpo(chosen, rejected, 2.0, 1.0)))
    scores = torch.stack([chosen, rejected], dim=-1)
    found = loss_of(AlignSettings(method="brio", margin=0.5), LOGPS, STEP)
    assert found == pytest.approx(float(objectives.ranking(scores, STEP.rewards, 0.5)))


@pytest.fixture
def stepper(context, tmp_path):
    """A context and its step, of a method."""

    def make(method, *sets, candidates=None):
        own = (f"align.method={method}", "align.samples=3", "align.batch_size=2", *sets)
        made = context("bart", *own, "train.lr_scheduler=constant")
        settings = made.job.recipe.align
        bundle = made.optimizer.bundle
        disable_dropout(bundle.model)
        alignment = AlignInputs(
            settings=settings,
            policy=Policy(made.optimizer, 1.0),
            reference=ReferenceModel(made.optimizer.named),
            sampler=Sampler(bundle, 3, 1.0, 8, (), seed=1),
            pool=InlineRewards(settings, by_length),
            references={row.id: row.references for row in made.job.train.dialogues},
            records=StepRecords(tmp_path / method),
            candidates=candidates(made) if candidates else {},
        )
        return SimpleNamespace(context=made, step=AlignStepper(alignment), policy=alignment.policy)

    make.said = context.said
    return make


def by_length(groups, settings):
    import numpy as np

    return np.array([[len(text) / 100 for text in group.texts] for group in groups])


def test_out_of_memory_halves_the_passes_of_an_aligned_step(stepper, bits, monkeypatch):
    start = TrainState(budget_tokens=4_096)
    whole = stepper("grpo", "align.updates=2")
    after = whole.step(whole.context, start)
    expected = bits(whole.context.optimizer)
    small = stepper("grpo", "align.updates=2")
    accumulate, failures = small.policy.accumulate, iter([True])

    def failing(rows, cut, weights):
        accumulate(rows, cut, weights)
        if next(failures, False):
            raise torch.OutOfMemoryError

    monkeypatch.setattr(small.policy, "accumulate", failing)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    smaller = small.step(small.context, start)
    assert smaller.budget_tokens < after.budget_tokens
    for name, value in small.context.optimizer.named.items():
        torch.testing.assert_close(
            value, dict(whole.context.optimizer.named)[name], atol=2e-4, rtol=1e-2
        )
    assert bits(whole.context.optimizer) == expected
    steps = [event for event in stepper.said if isinstance(event, events.AlignStep)]
    assert steps[0].loss == pytest.approx(steps[1].loss, abs=1e-5)


def test_without_pairs_a_step_changes_nothing(stepper, bits):
    def equal(made):
        return {
            row.id: Candidates(
                id=row.id, token_ids=((5,), (6,)), texts=("a", "b"), rewards=(0.5, 0.5)
            )
            for row in made.rows
        }

    made = stepper("dpo", "train.weight_decay=0", candidates=equal)
    before = bits(made.context.optimizer)
    after = made.step(made.context, TrainState(budget_tokens=4_096))
    assert (after.step, bits(made.context.optimizer)) == (1, before)
    (said,) = [event for event in stepper.said if isinstance(event, events.AlignStep)]
    assert (said.groups, said.loss, said.kl) == (0, 0.0, None)


def test_what_is_rewarded_becomes_likelier(stepper):
    made = stepper("grpo", "align.kl=0", "train.learning_rate=5e-2")
    state = TrainState(budget_tokens=4_096)
    for _ in range(10):
        state = made.step(made.context, state)
    rewards = [event.reward for event in stepper.said if isinstance(event, events.AlignStep)]
    assert sum(rewards[-4:]) > sum(rewards[:4]), "by length: longer ones are sampled"
