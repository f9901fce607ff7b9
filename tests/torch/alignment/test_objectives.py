"""The objectives against enumeration of every sequence, closed forms and brute force."""

import itertools
import math

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.alignment import objectives  # noqa: E402

STOP, TOKENS, LONGEST = 2, 3, 2
ZERO = torch.zeros(2)


def log_loss(logit):
    """The loss of a logistic model that is right."""
    return math.log1p(math.exp(-logit))


class Bigrams(torch.nn.Module):
    """A policy over three tokens: each depends on the one before it; 2 ends a sequence."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(7)
        table = torch.randn(TOKENS, TOKENS, generator=generator, dtype=torch.float64)
        self.table = torch.nn.Parameter(table)

    def logps(self, sequences):
        """Return log-probabilities, [sequences, LONGEST], and the mask."""
        values = torch.zeros(len(sequences), LONGEST, dtype=torch.float64)
        mask = torch.zeros_like(values)
        rows = []
        for sequence in sequences:
            before = [STOP, *sequence[:-1]]
            each = self.table[before].log_softmax(-1)[range(len(sequence)), list(sequence)]
            rows.append(torch.nn.functional.pad(each, (0, LONGEST - len(sequence))))
        values = torch.stack(rows)
        for row, sequence in enumerate(sequences):
            mask[row, : len(sequence)] = 1
        return values, mask


def every_sequence():
    """Every sequence of at most LONGEST tokens: STOP ends it, and so does the limit."""
    words = [(STOP,)]
    for length in range(2, LONGEST + 1):
        words += [(*head, STOP) for head in itertools.product(range(STOP), repeat=length - 1)]
    words += list(itertools.product(range(STOP), repeat=LONGEST))
    return words


SEQUENCES = every_sequence()
REWARDS = torch.rand(len(SEQUENCES), generator=torch.Generator().manual_seed(3)).double()


def exact_gradient():
    """The gradient of the expected reward, by enumeration."""
    policy = Bigrams()
    values, mask = policy.logps(SEQUENCES)
    probabilities = (values * mask).sum(-1).exp()
    assert float(probabilities.sum().detach()) == pytest.approx(1.0)
    (probabilities * REWARDS).sum().backward()
    return policy.table.grad


def test_the_risk_over_all_sequences_has_the_exact_gradient():
    policy = Bigrams()
    values, mask = policy.logps(SEQUENCES)
    scores = objectives.sequence_scores(values, mask, averaged=False)[None]
    distinct = torch.ones_like(scores, dtype=torch.bool)
    loss = objectives.minimum_risk(scores, REWARDS[None], distinct, sharpness=1.0)
    loss.backward()
    torch.testing.assert_close(policy.table.grad, -exact_gradient())
    # Half as sharp it is the risk under the flattened distribution, computed without softmax.
    flat = (0.5 * scores.detach()).exp()
    found = objectives.minimum_risk(scores.detach(), REWARDS[None], distinct, sharpness=0.5)
    assert float(found) == pytest.approx(-float((flat * REWARDS).sum() / flat.sum()))


@pytest.mark.parametrize("size", [2, 3])
def test_the_policy_gradient_of_groups_is_exact_in_expectation(size):
    """Over all groups that can be drawn: less its own share in the mean, (k − 1) / k of it."""
    policy = Bigrams()
    values, mask = policy.logps(SEQUENCES)
    probabilities = (values * mask).sum(-1).exp().detach()
    expected = torch.zeros((), dtype=torch.float64)
    for drawn in itertools.product(range(len(SEQUENCES)), repeat=size):
        chosen = list(drawn)
        advantages = objectives.group_advantages(REWARDS[chosen][None], scaled=False).flatten()
        losses = objectives.clipped_surrogate(
            values[chosen], values[chosen].detach(), advantages, clip=0.2
        )
        loss = objectives.mean_loss(losses, mask[chosen], budget=1)
        expected = expected + probabilities[chosen].prod() * loss
    expected.backward()
    torch.testing.assert_close(policy.table.grad, -exact_gradient() * (size - 1) / size)


def test_a_repeated_sample_counts_once_in_the_risk():
    scores = torch.tensor([[-1.0, -2.0, -1.0]])
    rewards = torch.tensor([[0.2, 0.8, 0.2]])
    once = torch.tensor([[True, True, False]])
    found = objectives.minimum_risk(scores, rewards, once, 1.0)
    alone = objectives.minimum_risk(scores[:, :2], rewards[:, :2], once[:, :2], 1.0)
    torch.testing.assert_close(found, alone)


def test_advantages_are_centred_and_equal_rewards_teach_nothing():
    rewards = torch.tensor([[0.1, 0.5, 0.9], [0.4, 0.4, 0.4]])
    found = objectives.group_advantages(rewards, scaled=True)
    assert found.mean(-1).abs().max() < 1e-6
    assert found[0].std() == pytest.approx(1.0, abs=1e-3)
    assert found[1].abs().max() < 1e-2
    torch.testing.assert_close(
        objectives.group_advantages(rewards, scaled=False)[0], torch.tensor([-0.4, 0.0, 0.4])
    )


def test_the_ratio_is_clipped_on_the_side_that_pays():
    old = torch.zeros(4, 1)
    logps = torch.tensor([[1.0], [1.0], [-1.0], [-1.0]]).requires_grad_()
    advantages = torch.tensor([1.0, -1.0, 1.0, -1.0])
    objectives.clipped_surrogate(logps, old, advantages, clip=0.2).sum().backward()
    moves = logps.grad.flatten() != 0
    assert moves.tolist() == [False, True, True, False]


def test_the_divergence_estimate_is_unbiased_and_never_negative():
    one = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    other = torch.tensor([0.4, 0.1, 0.5], dtype=torch.float64)
    each = objectives.kl_per_token(one.log(), other.log())
    assert (each >= 0).all()
    exact = (one * (one / other).log()).sum()
    torch.testing.assert_close((one * each).sum(), exact)
    assert objectives.kl_per_token(one.log(), one.log()).abs().max() == 0


def test_a_budget_takes_the_advantage_of_length_away():
    losses = torch.ones(2, 4)
    mask = torch.tensor([[1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 0.0]])
    assert objectives.mean_loss(losses, mask, None) == pytest.approx(1.0)
    assert objectives.mean_loss(losses, mask, 4) == pytest.approx((4 + 1) / 2 / 4)


def test_ranking_is_the_sum_over_pairs():
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(3, 5, generator=generator)
    rewards = torch.tensor([[0.1, 0.9, 0.4, 0.4, 0.2]] * 3)
    expected = []
    for group in range(3):
        order = sorted(range(5), key=lambda each: (-rewards[0, each].item(), each))
        total = 0.0
        for (high, i), (low, j) in itertools.combinations(enumerate(order), 2):
            if rewards[0, i] > rewards[0, j]:
                gap = scores[group, j] - scores[group, i] + 0.01 * (low - high)
                total += max(0.0, float(gap))
        expected.append(total)
    found = objectives.ranking(scores, rewards, 0.01)
    assert float(found) == pytest.approx(sum(expected) / 3, rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "equal", "apart"),
    [
        (lambda better: objectives.dpo(better, ZERO, ZERO, 0.1), math.log(2), log_loss(0.2)),
        (lambda better: objectives.dpo(better, ZERO, ZERO + 2, 0.1), log_loss(-0.2), math.log(2)),
        (lambda better: objectives.ipo(better, ZERO, ZERO, 0.1), 25.0, 9.0),
        (lambda better: objectives.simpo(better, ZERO, 2.0, 1.0), log_loss(-1), log_loss(3)),
    ],
)
def test_preference_losses_are_what_the_papers_say(loss, equal, apart):
    assert float(loss(ZERO)) == pytest.approx(equal)
    assert float(loss(ZERO + 2)) == pytest.approx(apart)
