"""The same losses as ``transformers.Trainer`` on the same model, data, order and settings."""

import pytest

from support.training import train
from yoyak import events

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.models.collate import MicroBatchLimits, micro_batches  # noqa: E402

STEPS = 50
SETS = (
    f"train.max_steps={STEPS}",
    "train.epochs=50",
    "evaluate.every_epochs=none",
    "train.save_every_steps=1000",
    "train.learning_rate=3e-3",
    "train.weight_decay=0.01",
    "train.max_grad_norm=0.5",
)
FORMS = {
    # Trainer 5.23 doubles BART's loss under accumulation of 2: its model takes, and ignores, the
    # number of supervised tokens. One pass a step compares like with like.
    "bart": ("train.micro_batch_size=4",),
    "llama": ("lora.lora_dropout=0.0", "model.scratch.architecture=llama"),
    "qwen3": ("lora.lora_dropout=0.0",),
}


def without_dropout(context):
    for module in context.optimizer.bundle.model.modules():
        if isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0
    return context


def padded_for_trainer(rows, kind, pad_id):
    """As the field does it: labels of −100 on prompt and padding, masks for everything."""

    def pad(ids, value):
        length = max(map(len, ids))
        return torch.tensor([[*row, *[value] * (length - len(row))] for row in ids])

    if kind == "seq2seq":
        ids = [list(row.source_ids) for row in rows]
        labels = [list(row.answer_ids) for row in rows]
    else:
        ids = [[*row.source_ids, *row.answer_ids] for row in rows]
        labels = [[*[-100] * len(row.source_ids), *row.answer_ids] for row in rows]
    mask = pad([[1] * len(row) for row in ids], 0)
    return {"input_ids": pad(ids, pad_id), "attention_mask": mask, "labels": pad(labels, -100)}


def by_trainer(context, folder):
    import transformers as hf

    bundle, settings = context.optimizer.bundle, context.job.recipe.train
    parts = []
    for step in range(STEPS):
        limits = MicroBatchLimits(settings.micro_batch_size, 10_000)
        cut = micro_batches(context.schedule.rows(step), context.shapes, limits)
        assert len(cut) * settings.micro_batch_size == settings.batch_size
        for part in cut:
            rows = [context.rows[row] for row in part]
            parts.append(padded_for_trainer(rows, bundle.kind, bundle.tokenizer.pad_id))

    class Given(hf.Trainer):
        def get_train_dataloader(self):
            return torch.utils.data.DataLoader(parts, batch_size=None, shuffle=False)

    arguments = hf.TrainingArguments(
        output_dir=str(folder),
        max_steps=STEPS,
        gradient_accumulation_steps=settings.batch_size // settings.micro_batch_size,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=str(settings.lr_scheduler),
        warmup_steps=settings.warmup_ratio,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
    )
    trainer = Given(model=bundle.model, args=arguments, train_dataset=parts)
    trainer.train()
    return [entry for entry in trainer.state.log_history if "loss" in entry]


@pytest.mark.parametrize("name", ["bart", pytest.param("llama", marks=pytest.mark.slow), "qwen3"])
def test_fifty_steps_have_the_losses_of_transformers(name, context, tmp_path):
    """Adam makes a step of any gradient, be it rounding: what is compared is bounded, not equal.

    A bias of keys shifts all scores of a query alike, which the softmax does not see. Its gradient
    is zero but for rounding, and it drifts as the processor rounds.
    """
    form = "bart" if name == "bart" else "lora"
    ours = without_dropout(context(form, *SETS, *FORMS[name], folder=tmp_path / "ours"))
    start = {key: value.detach().clone() for key, value in ours.optimizer.named.items()}
    train(ours)
    told = [event for event in context.said if isinstance(event, events.TrainStep)]
    theirs = without_dropout(context(form, *SETS, *FORMS[name], folder=tmp_path / "theirs"))
    logged = by_trainer(theirs, tmp_path / "trainer")
    assert len(told) == len(logged) == STEPS
    for event, entry in zip(told, logged, strict=True):
        assert event.loss == pytest.approx(float(entry["loss"]), abs=1e-5)
        assert event.grad_norm == pytest.approx(float(entry["grad_norm"]), rel=1e-3)
        assert event.learning_rate == pytest.approx(float(entry["learning_rate"]), rel=1e-9)
    assert any(event.clipped for event in told)
    assert told[-1].loss < 0.9 * told[0].loss
    for (key, mine), other in zip(
        ours.optimizer.named.items(), theirs.optimizer.named.values(), strict=True
    ):
        if not key.endswith("k_proj.bias"):
            assert (mine - other).norm() <= 0.01 * (mine - start[key]).norm(), key
