"""The first steps of TRL's own trainers on the same model, samples and rewards."""

from types import SimpleNamespace

import pytest

from support.alignment import InlineRewards

pytestmark = [pytest.mark.torch, pytest.mark.slow]
torch = pytest.importorskip("torch")
trl = pytest.importorskip("trl")
from yoyak.engine.alignment.policy import Policy, ReferenceModel  # noqa: E402
from yoyak.engine.alignment.samples import Candidates, StepRecords  # noqa: E402
from yoyak.engine.alignment.step import AlignInputs, AlignStepper  # noqa: E402
from yoyak.engine.pipeline import finetune  # noqa: E402

STEPS, SIZE, RATE = 3, 4, 1e-3
SETS = (
    "lora=none",
    "train.kernels=torch",
    "align.learning_rate=1e-3",
    "train.lr_scheduler=constant",
    "align.batch_size=2",
    f"align.samples={SIZE}",
    f"align.max_steps={STEPS}",
    "evaluate.at_start=false",
)


class GivenSamples:
    """Stands in for ``Sampler``: random token ids, the same for both sides."""

    max_new_tokens = 9

    def __init__(self, vocabulary, stop):
        generator = torch.Generator().manual_seed(11)
        self.known = {}
        self._draw = lambda size: torch.randint(3, vocabulary, (size,), generator=generator)
        self._stop = stop

    def ids(self, step, index, copy):
        key = (step, index, copy)
        if key not in self.known:
            length = 2 + (index + 3 * copy + step) % 6
            self.known[key] = (*self._draw(length).tolist(), self._stop)
        return self.known[key]

    def groups(self, rows, step):
        for index in range(len(rows)):
            ids = [self.ids(step, index, copy) for copy in range(SIZE)]
            yield index, ids, [" ".join(map(str, each)) for each in ids]


def reward_of(ids):
    return (sum(ids) % 17) / 17


def rewards_of(groups, settings):
    import numpy as np

    return np.array(
        [[reward_of(tuple(map(int, text.split()))) for text in group.texts] for group in groups]
    )


@pytest.fixture
def ours(job, tmp_path):
    """Our side: its context, and the folder where the same model is for TRL."""

    def make(*sets):
        asked = job("lora", *SETS, *sets, rows=6)
        work = asked._replace(recipe=asked.recipe.aligning)
        ready = finetune.prepare(work, "causal")
        ready.bundle.model.save_pretrained(tmp_path / "model")
        ready.bundle.tokenizer.save(tmp_path / "model")
        said = []
        context = finetune.build_context(work._replace(emit=said.append), ready)
        optimizer = context.optimizer
        tokenizer = ready.bundle.tokenizer
        settings = asked.recipe.align
        alignment = AlignInputs(
            settings=settings,
            policy=Policy(optimizer, 1.0),
            reference=ReferenceModel(optimizer.named),
            sampler=GivenSamples(tokenizer.vocab_size, tokenizer.stop_id),
            pool=InlineRewards(settings, rewards_of),
            references={row.id: row.references for row in work.train.dialogues},
            records=StepRecords(tmp_path / "records"),
            candidates={},
        )
        return SimpleNamespace(
            context=context, alignment=alignment, said=said, folder=tmp_path / "model"
        )

    return make


def run_ours(side):
    from yoyak.engine.training.checkpoint import TrainState

    state = TrainState(budget_tokens=4_096)
    step = AlignStepper(side.alignment)
    for _ in range(STEPS):
        state = step(side.context, state)
    return [event.loss for event in side.said]


def recorded(trainer_class):
    """Return the trainer with its losses kept unrounded."""

    class Recorded(trainer_class):
        def compute_loss(self, *args, **kwargs):
            found = super().compute_loss(*args, **kwargs)
            losses.append(float((found[0] if isinstance(found, tuple) else found).detach()))
            return found

    losses = []
    return Recorded, losses


def load_theirs(folder):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


def settings_of(folder):
    return {
        "output_dir": str(folder / "trl"),
        "learning_rate": RATE,
        "lr_scheduler_type": "constant",
        "max_steps": STEPS,
        "max_grad_norm": 1.0,
        "report_to": [],
        "save_strategy": "no",
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "disable_tqdm": True,
        "logging_steps": 1,
    }


def assert_same(side, theirs, ours_losses, their_losses):
    """Compare losses, and how far apart the weights are beside how far they moved.

    Adam turns the rounding of a gradient near zero into a step of the full rate, so single weights
    may differ.
    """
    assert their_losses[0] == pytest.approx(ours_losses[0], abs=1e-6)
    assert their_losses == pytest.approx(ours_losses, abs=2e-5)
    named, start = (
        dict(theirs.named_parameters()),
        dict(load_theirs(side.folder)[0].named_parameters()),
    )
    apart = moved = 0.0
    for name, value in side.context.optimizer.named.items():
        apart += float((value - named[name]).detach().square().sum())
        moved += float((value - start[name]).detach().square().sum())
    assert apart < 1e-4 * moved


@pytest.mark.parametrize(
    ("loss_type", "sets"),
    [
        ("grpo", ()),
        ("dr_grpo", ("align.length_normalised=false", "align.scale_rewards=false")),
    ],
)
def test_grpo_makes_the_steps_of_trl(loss_type, sets, ours):
    from datasets import Dataset

    side = ours("align.method=grpo", "align.kl=0.05", *sets)
    ours_losses = run_ours(side)
    model, tokenizer = load_theirs(side.folder)
    trainer_class, their_losses = recorded(trl.GRPOTrainer)
    sampler, schedule = side.alignment.sampler, side.context.schedule
    calls = iter(range(STEPS))

    def rollout(prompts, _trainer):
        step = next(calls)
        rows = [side.context.rows[row] for row in schedule.rows(step)]
        asked = [(index, copy) for index in range(2) for copy in range(SIZE)]
        return {
            "prompt_ids": [list(rows[index].source_ids) for index, _ in asked],
            "completion_ids": [list(sampler.ids(step, *each)) for each in asked],
            "logprobs": None,
        }

    trainer = trainer_class(
        model=model,
        processing_class=tokenizer,
        reward_funcs=lambda completion_ids, **_: [reward_of(ids) for ids in completion_ids],
        train_dataset=Dataset.from_dict({"prompt": [f"row {row}" for row in range(6)]}),
        rollout_func=rollout,
        args=trl.GRPOConfig(
            **settings_of(side.folder),
            per_device_train_batch_size=2 * SIZE,
            num_generations=SIZE,
            max_completion_length=sampler.max_new_tokens,
            beta=0.05,
            epsilon=0.2,
            loss_type=loss_type,
            scale_rewards="group" if loss_type == "grpo" else "none",
            temperature=1.0,
        ),
    )
    trainer.train()
    assert_same(side, model, ours_losses, their_losses)


@pytest.mark.parametrize(("method", "loss_type"), [("dpo", "sigmoid"), ("ipo", "ipo")])
def test_preferences_are_learnt_as_by_trl(method, loss_type, ours, monkeypatch):
    from datasets import Dataset

    side = ours(f"align.method={method}", "align.beta=0.3")
    schedule, sampler, rows = side.context.schedule, side.alignment.sampler, side.context.rows
    candidates = {}
    for place, row in enumerate(rows):
        ids = [sampler.ids(0, place, copy) for copy in range(SIZE)]
        candidates[row.id] = Candidates(
            id=row.id,
            token_ids=tuple(ids),
            texts=tuple(" ".join(map(str, each)) for each in ids),
            rewards=tuple(map(reward_of, ids)),
        )
    side.alignment = side.alignment._replace(candidates=candidates)
    ours_losses = run_ours(side)
    order = [row for step in range(STEPS) for row in schedule.rows(step)]
    examples = []
    for row in order:
        one = candidates[rows[row].id]
        best = max(range(SIZE), key=lambda each: one.rewards[each])
        worst = min(range(SIZE), key=lambda each: one.rewards[each])
        examples.append(
            {
                "prompt_ids": list(rows[row].source_ids),
                "chosen_ids": list(one.token_ids[best]),
                "rejected_ids": list(one.token_ids[worst]),
            }
        )
    model, tokenizer = load_theirs(side.folder)
    trainer_class, their_losses = recorded(trl.DPOTrainer)
    monkeypatch.setattr(trainer_class, "_prepare_dataset", lambda _self, dataset, *_: dataset)
    trainer = trainer_class(
        model=model,
        processing_class=tokenizer,
        train_dataset=Dataset.from_list(examples),
        args=trl.DPOConfig(
            **settings_of(side.folder),
            per_device_train_batch_size=2,
            beta=0.3,
            loss_type=[loss_type],
            train_sampling_strategy="sequential",
        ),
    )
    trainer.train()
    assert_same(side, model, ours_losses, their_losses)


def test_the_loss_of_simpo_is_that_of_trl():
    from trl.experimental.cpo import CPOTrainer

    from yoyak.engine.alignment import objectives

    generator = torch.Generator().manual_seed(5)
    chosen, rejected = torch.randn(2, 16, generator=generator)
    theirs = SimpleNamespace(
        loss_type="simpo", beta=2.0, simpo_gamma=1.4, label_smoothing=0.0, alpha=0.0,
        accelerator=SimpleNamespace(device=chosen.device),
    )  # fmt: skip
    losses, _, _ = CPOTrainer.cpo_loss(theirs, chosen, rejected)
    torch.testing.assert_close(objectives.simpo(chosen, rejected, 2.0, 1.4), losses.mean())
