"""The objectives of metric-aware training, as pure functions of tensors.

A *group* is the ``k`` sampled summaries of one dialogue. Log-probabilities of tokens come padded,
[sequences, tokens], with a mask of the same shape that is 1 on real tokens. Losses are scalars to
minimise.
"""

from torch.nn.functional import logsigmoid  # noqa: TID253 -- as below

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work

EPSILON = 1e-4
"""Added to a group's standard deviation: a group of equal rewards has advantages of zero."""


def sequence_scores(logps: torch.Tensor, mask: torch.Tensor, *, averaged: bool) -> torch.Tensor:
    """Return the log-probability of each sequence, [sequences]; ``averaged`` is per token."""
    total = (logps * mask).sum(-1)
    return total / mask.sum(-1) if averaged else total


def minimum_risk(
    scores: torch.Tensor, rewards: torch.Tensor, distinct: torch.Tensor, sharpness: float
) -> torch.Tensor:
    """Return the expected negative reward under the renormalised distribution (Shen 2016).

    Q(y) ∝ exp(sharpness × score) over the distinct samples of a group. Over every sequence there
    is, with sharpness 1, it is the risk itself.

    Args:
        scores: log-probabilities of sequences, [groups, k].
        rewards: [groups, k].
        distinct: true for the first occurrence of each text in its group, [groups, k].
        sharpness: α; the smaller, the flatter Q.
    """
    shares = (sharpness * scores).masked_fill(~distinct, -torch.inf).softmax(-1)
    return -(shares * rewards).sum(-1).mean()


def group_advantages(rewards: torch.Tensor, *, scaled: bool) -> torch.Tensor:
    """Return rewards less the mean of their group, [groups, k] (GRPO, Shao 2024).

    ``scaled`` divides by the group's standard deviation, which weights groups of like rewards up;
    without it, it is Dr. GRPO (Liu 2025).
    """
    centred = rewards - rewards.mean(-1, keepdim=True)
    if not scaled:
        return centred
    return centred / (rewards.std(-1, keepdim=True) + EPSILON)


def clipped_surrogate(
    logps: torch.Tensor, old: torch.Tensor, advantages: torch.Tensor, clip: float
) -> torch.Tensor:
    """Return PPO's clipped loss of each token, [sequences, tokens] (Schulman 2017).

    Args:
        logps: of the policy.
        old: of the policy that sampled.
        advantages: of the sequences, [sequences].
        clip: the ratio counts from 1 − clip to 1 + clip.
    """
    ratio = (logps - old).exp()
    advantage = advantages.unsqueeze(-1)
    return -torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)


def kl_per_token(logps: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Return the estimate of KL(policy ‖ reference) at each token, never negative (k3).

    Schulman 2020, http://joschu.net/blog/kl-approx.html.
    """
    distance = reference - logps
    return distance.exp() - distance - 1


def mean_loss(losses: torch.Tensor, mask: torch.Tensor, budget: int | None) -> torch.Tensor:
    """Return the mean over sequences of the loss of tokens, [sequences, tokens].

    Without a ``budget`` each sequence is divided by its own tokens (GRPO), which favours long
    sequences among bad ones; otherwise all are divided by the budget (Dr. GRPO).
    """
    tokens = mask.sum(-1) if budget is None else budget
    return ((losses * mask).sum(-1) / tokens).mean()


def dpo(
    chosen: torch.Tensor, rejected: torch.Tensor, margin: torch.Tensor, beta: float
) -> torch.Tensor:
    """Return the loss of direct preference optimisation (Rafailov 2023).

    Args:
        chosen: summed log-probabilities, [pairs].
        rejected: the same of the worse ones.
        margin: chosen less rejected under the reference model, [pairs].
        beta: strength of the KL constraint.
    """
    return -logsigmoid(beta * (chosen - rejected - margin)).mean()


def ipo(
    chosen: torch.Tensor, rejected: torch.Tensor, margin: torch.Tensor, beta: float
) -> torch.Tensor:
    """Return the loss of identity preference optimisation (Azar 2023, equation 17).

    The arguments are those of ``dpo``, but averages over tokens.
    """
    return (chosen - rejected - margin - 1 / (2 * beta)).square().mean()


def simpo(chosen: torch.Tensor, rejected: torch.Tensor, beta: float, margin: float) -> torch.Tensor:
    """Return the loss of SimPO (Meng 2024), which needs no reference model.

    Args:
        chosen: average log-probabilities, [pairs].
        rejected: the same of the worse ones.
        beta: scale of the difference.
        margin: γ, by which ``beta × difference`` is to be positive.
    """
    return -logsigmoid(beta * (chosen - rejected) - margin).mean()


def ranking(scores: torch.Tensor, rewards: torch.Tensor, margin: float) -> torch.Tensor:
    """Return the contrastive loss of BRIO (Liu 2022): a better sample is to be more likely.

    Σ max(0, s_j − s_i + margin × (rank_j − rank_i)) over all pairs in which i has the higher
    reward, averaged over groups; pairs of equal rewards do not count.

    Args:
        scores: average log-probabilities, [groups, k].
        rewards: [groups, k].
        margin: λ, for each rank between the two.
    """
    order = rewards.argsort(dim=-1, descending=True, stable=True)
    scores, rewards = scores.gather(-1, order), rewards.gather(-1, order)
    ranks = torch.arange(scores.shape[-1], device=scores.device)
    apart = ranks.unsqueeze(0) - ranks.unsqueeze(1)
    losses = (scores.unsqueeze(-2) - scores.unsqueeze(-1) + margin * apart).clamp_min(0)
    better = rewards.unsqueeze(-1) > rewards.unsqueeze(-2)
    return (losses * better).sum((-1, -2)).mean()
