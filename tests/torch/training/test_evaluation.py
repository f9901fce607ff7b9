"""What chooses the best checkpoint: any measure of the contest, or the loss on dev."""

import pytest

from support.training import train
from yoyak.events import Evaluated, Warned
from yoyak.values import DevMetric, Interval, Rouge

np = pytest.importorskip("numpy")

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.inference import generate  # noqa: E402
from yoyak.engine.training import evaluation  # noqa: E402
from yoyak.engine.training.evaluation import EvalMetrics  # noqa: E402

SETS = ("train.max_steps=12", "train.epochs=9", "evaluate.every_epochs=1", "evaluate.rows=6")


def told(said):
    return [event for event in said if isinstance(event, Evaluated)]


@pytest.mark.parametrize("form", ["bart", "lora"])
def test_the_loss_is_that_of_transformers_on_each_row_alone(form, context):
    made = context(form, *SETS)
    model = made.optimizer.bundle.model.eval()
    losses, tokens = [], []
    for row in made.evaluator._rows:
        answer = torch.tensor([row.answer_ids])
        if form == "bart":
            output = model(input_ids=torch.tensor([row.source_ids]), labels=answer)
        else:
            source = torch.tensor([row.source_ids])
            labels = torch.cat([torch.full_like(source, -100), answer], dim=-1)
            output = model(input_ids=torch.cat([source, answer], dim=-1), labels=labels)
        tokens.append(len(row.answer_ids))
        losses.append(output.loss.item() * tokens[-1])
    model.train()
    before = torch.get_rng_state()
    verdict = made.evaluator()
    assert verdict.loss == pytest.approx(sum(losses) / sum(tokens), rel=1e-5)
    assert model.training
    assert torch.equal(torch.get_rng_state(), before)
    # The interval against the bootstrap of the ratio itself.
    draws = np.random.default_rng(1).integers(0, 6, (4000, 6))
    ratios = np.array(losses)[draws].sum(1) / np.array(tokens)[draws].sum(1)
    low, high = np.quantile(ratios, (0.025, 0.975))
    width = high - low
    assert verdict.loss_interval.low == pytest.approx(low, abs=0.15 * width)
    assert verdict.loss_interval.high == pytest.approx(high, abs=0.15 * width)


@pytest.mark.parametrize("metric", list(DevMetric))
def test_the_best_checkpoint_is_the_best_by_its_metric(metric, context):
    made = context("bart", *SETS, f"evaluate.metric={metric}", "evaluate.patience=9")
    values = iter([0.9, 0.5, 0.3, 0.4])

    def judge(stop_asked):
        value = next(values)
        rouge = Rouge(**{name: (0.1 if name != metric else value) for name in
                         ("rouge1", "rouge2", "rougeL")})  # fmt: skip
        if metric is DevMetric.ROUGE_MEAN:
            rouge = Rouge(rouge1=value, rouge2=value, rougeL=value)
        loss = value if metric is DevMetric.EVAL_LOSS else 1.0
        interval = Interval(low=0.0, high=1.0)
        return EvalMetrics(rouge, interval, loss, interval, 6, "", 0.0, {})

    progress = train(made._replace(evaluator=judge))
    lower = metric is DevMetric.EVAL_LOSS
    assert (progress.best_step, progress.stale) == ((8, 1) if lower else (4, 2))
    assert progress.best_value == (0.3 if lower else 0.5)
    assert [event.best for event in told(context.said)] == (
        [False, True, True, False] if lower else [False, True, False, False]
    )
    assert {event.metric for event in told(context.said)} == {metric}
    assert [event.beats_start for event in told(context.said)] == [None, lower, lower, lower]
    gained = [event.key for event in context.said if isinstance(event, Warned)]
    # Below what it was before the first step, by every measure but the loss.
    assert gained == ([] if lower else ["engine.nothing-gained"])


def test_without_at_start_nothing_is_judged_before_the_first_step(context):
    train(context("bart", *SETS, "evaluate.at_start=false", "train.max_steps=4"))
    assert [event.step for event in told(context.said)] == [4]


@pytest.mark.parametrize(("limit", "longest"), [(5, 5), (500, 9)])
def test_no_evaluation_writes_more_than_its_limit(limit, longest, context, monkeypatch):
    made = context("lora", *SETS, f"evaluate.max_new_tokens={limit}", "decode.max_new_tokens=3")
    caps = []

    def watched(bundle, rows, decode, *, max_new_tokens, blocked):
        caps.append(max_new_tokens)
        yield from generate.generate(
            bundle, rows, decode, max_new_tokens=max_new_tokens, blocked=blocked
        )

    monkeypatch.setattr(evaluation, "generate", watched)
    recipe, bundle = made.job.recipe, made.optimizer.bundle
    dialogues = made.job.dev.dialogues[:4]
    evaluation.Evaluator(bundle, dialogues, recipe, max_new_tokens=9)()
    assert caps == [longest]
