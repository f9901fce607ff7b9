"""Log-probabilities and gradients of answers against the model's own forward pass."""

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.config.schema import AlignSettings, TrainSettings  # noqa: E402
from yoyak.engine.alignment.policy import (  # noqa: E402
    Policy,
    ReferenceModel,
    TokenLogps,
    disable_dropout,
)
from yoyak.engine.alignment.step import StepTensors, loss_of  # noqa: E402
from yoyak.engine.tokenization.encode import encode_rows  # noqa: E402
from yoyak.engine.training.optimizer import ModelOptimizer  # noqa: E402


def rows_of(toy, dialogues, count=4):
    """Rows whose answers differ in length, as sampled ones do."""
    rows = encode_rows(toy.tokenizer, dialogues[:count], toy.recipe.prompt, with_answers=True)
    return [
        row._replace(answer_ids=row.answer_ids[: 3 + 2 * place]) for place, row in enumerate(rows)
    ]


def logps_by_labels(toy, row, temperature=1.0):
    """What transformers says of one row, without padding or batches."""
    source, answer = torch.tensor([row.source_ids]), torch.tensor([row.answer_ids])
    if toy.kind == "seq2seq":
        logits = toy.model(input_ids=source, labels=answer).logits[0]
    else:
        logits = toy.model(input_ids=torch.cat([source, answer], dim=1)).logits[0]
        logits = logits[source.shape[1] - 1 : -1]
    return (logits / temperature).log_softmax(-1).gather(-1, answer.T)[:, 0]


@pytest.mark.parametrize("architecture", ["bart", "llama"])
def test_the_gradient_is_that_of_the_loss_in_one_piece(architecture, toy, dialogues):
    settings = AlignSettings(method="grpo", samples=2, kl=0.3, likelihood_weight=0.5)
    ours = toy(architecture)
    disable_dropout(ours.model)
    rows = rows_of(ours, dialogues, 6)
    optimizer = ModelOptimizer(ours, TrainSettings())
    policy = Policy(optimizer, temperature=1.5)
    cut = [[5, 0], [4], [1, 2, 3]]
    logps = policy.log_probabilities(rows, cut)
    for place, row in enumerate(rows):
        size = len(row.answer_ids)
        torch.testing.assert_close(
            logps.values[place, :size], logps_by_labels(ours, row, 1.5), atol=2e-5, rtol=1e-4
        )
        assert logps.mask[place].sum() == size
    step = StepTensors(
        rewards=torch.tensor([[0.9, 0.1], [0.3, 0.4]]),
        distinct=torch.ones(2, 2, dtype=torch.bool),
        old=logps.values + 0.1,
        reference=logps.values - 0.2,
        budget=16,
    )
    values = logps.values.clone().requires_grad_()
    (weights,) = torch.autograd.grad(loss_of(settings, logps._replace(values=values), step), values)
    policy.accumulate(rows, cut, weights)
    found = {name: value.grad.clone() for name, value in optimizer.named.items()}
    optimizer.zero_grad()
    each = [logps_by_labels(ours, row, 1.5) for row in rows]
    whole = torch.nn.utils.rnn.pad_sequence(each, batch_first=True)
    loss_of(settings, TokenLogps(whole, logps.mask), step).backward()
    for name, value in optimizer.named.items():
        if value.grad is not None:
            torch.testing.assert_close(found[name], value.grad, atol=3e-5, rtol=1e-3)


@pytest.mark.parametrize("architecture", ["bart", "t5", "qwen3"])
def test_without_dropout_training_computes_what_evaluation_does(architecture, adapted, dialogues):
    ours = adapted(architecture, dropout=0.5)
    for part in ours.model.modules():
        for name in ("dropout", "activation_dropout", "attention_dropout"):
            if isinstance(getattr(part, name, None), float):
                setattr(part, name, 0.5)
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.5
    with torch.no_grad():
        for name, value in ours.model.named_parameters():
            if "lora_B" in name:
                value.normal_(std=0.1)
    rows = rows_of(ours, dialogues)
    policy = Policy(ModelOptimizer(ours, TrainSettings(kernels="torch")), 1.0)
    cut = [[0, 1], [2, 3]]
    plain = policy.log_probabilities(rows, cut)
    noisy = policy.log_probabilities(rows, cut, as_gradient=True)
    assert not torch.allclose(plain.values, noisy.values, atol=1e-3)
    disable_dropout(ours.model)
    still = policy.log_probabilities(rows, cut, as_gradient=True)
    torch.testing.assert_close(plain.values, still.values, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("architecture", ["bart", "llama"])
def test_the_reference_stays_what_it_was_while_the_model_learns(architecture, adapted, dialogues):
    ours = adapted(architecture, dropout=0.0)
    rows = rows_of(ours, dialogues)
    optimizer = ModelOptimizer(ours, TrainSettings(kernels="torch"))
    policy, cut = Policy(optimizer, 1.0), [[0, 1, 2, 3]]
    with torch.no_grad():  # as after supervised training: adapters off would be another model
        for name, value in ours.model.named_parameters():
            if "lora_B" in name:
                value.normal_(std=0.1)
    start = policy.log_probabilities(rows, cut).values
    reference = ReferenceModel(optimizer.named)
    policy.accumulate(rows, cut, torch.ones_like(start))
    optimizer.step(1e-2)
    learnt = policy.log_probabilities(rows, cut).values
    assert not torch.allclose(start, learnt, atol=1e-3)
    with reference.active():
        assert torch.equal(policy.log_probabilities(rows, cut).values, start)
    assert torch.equal(policy.log_probabilities(rows, cut).values, learnt)
    policy.accumulate(rows, cut, torch.ones_like(start))
    optimizer.step(1e-2)
    with reference.active():
        assert torch.equal(policy.log_probabilities(rows, cut).values, start)
