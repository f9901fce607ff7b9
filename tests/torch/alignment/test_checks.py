"""Preflight of metric-aware training: each check passes as things are, and fails for its plant."""

import pytest

from support.alignment import InlineRewards

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.config.schema import AlignSettings, TrainSettings  # noqa: E402
from yoyak.engine.alignment import checks, rewards  # noqa: E402
from yoyak.engine.alignment.policy import Policy, ReferenceModel, disable_dropout  # noqa: E402
from yoyak.engine.alignment.samples import Sampler  # noqa: E402
from yoyak.engine.tokenization.encode import encode_rows  # noqa: E402
from yoyak.engine.training.optimizer import ModelOptimizer  # noqa: E402
from yoyak.metrics.rouge import score_rows  # noqa: E402

SETTINGS = AlignSettings(method="grpo", samples=3, rouge_weights=(0.5, 0.25, 0.25))


def results(dialogues, compute=None):
    pool = InlineRewards(SETTINGS, compute)
    return {one.name: one.passed for one in checks.check_rewards(dialogues, SETTINGS, pool)}


def test_the_rewards_of_this_program_pass(dialogues):
    assert results(dialogues) == {
        "reward-reference": True, "reward-judge": True, "reward-tags": True,
    }  # fmt: skip


def test_workers_that_judge_otherwise_are_found(dialogues):
    def equal_weights(groups, settings):
        plain = AlignSettings(method="grpo")
        return rewards.group_rewards(groups, plain)

    assert not results(dialogues, equal_weights)["reward-judge"]


def test_a_reward_for_tags_is_found(dialogues, monkeypatch):
    def judge(texts, references, settings):
        return score_rows(texts, references)[:, :, 2].mean(axis=1)

    monkeypatch.setattr(checks, "rewards", judge)
    found = results(dialogues)
    assert found["reward-reference"]
    assert not found["reward-tags"], "the judge itself pays for tags"


def test_a_reference_that_is_not_paid_in_full_is_found(dialogues, monkeypatch):
    monkeypatch.setattr(checks, "rewards", lambda *given: 0.999 * rewards.rewards(*given))
    assert not results(dialogues)["reward-reference"]


@pytest.fixture
def start(adapted, dialogues):
    ours = adapted("llama", dropout=0.3)
    rows = encode_rows(ours.tokenizer, dialogues[:6], ours.recipe.prompt, with_answers=True)
    optimizer = ModelOptimizer(ours, TrainSettings(kernels="torch"))
    with torch.no_grad():
        for name, value in ours.model.named_parameters():
            if "lora_B" in name:
                value.normal_(std=0.1)
    return ours, rows, Policy(optimizer, 1.0), Sampler(ours, 3, 1.0, 6, (), seed=1)


def test_the_divergence_at_the_start_is_zero_and_neither_dropout_nor_other_weights_pass(start):
    ours, rows, policy, sampler = start
    reference = ReferenceModel(policy.optimizer.named)
    assert not checks.check_start(rows, policy, reference, sampler).passed, "dropout is on"
    disable_dropout(ours.model)
    assert checks.check_start(rows, policy, reference, sampler).passed
    with torch.no_grad():
        next(iter(policy.optimizer.named.values())).add_(0.05)
    assert not checks.check_start(rows, policy, reference, sampler).passed


def test_advantages_that_are_not_centred_are_found(start, dialogues, monkeypatch):
    _, rows, _, sampler = start
    pool = InlineRewards(SETTINGS, lambda groups, _: spread(groups))
    given = (dialogues, rows, sampler, pool, SETTINGS)
    assert checks.check_advantages(*given).passed
    monkeypatch.setattr(checks.objectives, "group_advantages", lambda found, *, scaled: found - 0.5)
    assert not checks.check_advantages(*given).passed


def spread(groups):
    import numpy as np

    return np.array([[0.1, 0.9, 0.3]] * len(groups))
