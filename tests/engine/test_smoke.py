"""A toy trains four steps: the smoke test of the fast set, the only one in it that needs torch.

Its dev answers are in other letters than its train answers: dev gets better for one step and then
worse, so that the run stops early and the weights of its first step are the best.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple

import pytest

from yoyak import engine
from yoyak.config.load import resolve
from yoyak.engine import TrainJob
from yoyak.events import Evaluated, TrainStep
from yoyak.files import atomic
from yoyak.values import Dialogue, Split, Turn

pytestmark = [
    pytest.mark.smoke,
    pytest.mark.filterwarnings("default"),  # the training stack warns about itself
]

MAX_GRAD_NORM = 0.5
SETS = (
    "model.quantisation=none", "model.scratch.pretrain_epochs=0", "model.scratch.vocabulary=400",
    "model.scratch.width=32", "model.scratch.layers=1", "model.scratch.heads=2",
    "prompt.max_source_tokens=256", "prompt.max_summary_tokens=64",
    "lora.r=8", "lora.lora_alpha=16", "lora.lora_dropout=0.0",
    "train.epochs=8", "train.batch_size=4", "train.micro_batch_size=2", "train.learning_rate=0.05",
    "train.warmup_ratio=0.0", f"train.max_grad_norm={MAX_GRAD_NORM}", "train.save_every_steps=1",
    "evaluate.every_epochs=1", "evaluate.patience=3", "evaluate.metric=eval_loss",
    "decode.max_new_tokens=4",
)  # fmt: skip
"""Eight steps at most: one an epoch, each saved and evaluated."""


PLACES = ("도서관에서", "병원 앞에서", "회의실에서", "기차역에서")
LOSSES = (6.320, 5.193, 4.740, 4.484)
"""Of the four steps, on one CPU; others agree to rounding."""


def split(name: str, texts: tuple[str, ...], summary: str) -> Split:
    rows = tuple(
        Dialogue(
            id=f"{name}_{number}",
            turns=(
                Turn(speaker="#Person1#", text=f"{text} 몇 시에 만날까요?"),
                Turn(speaker="#Person2#", text="세 시에 정문에서 봅시다."),
            ),
            references=(summary.format(text),),
        )
        for number, text in enumerate(texts)
    )
    digest = hashlib.sha256(repr((texts, summary)).encode()).hexdigest()
    return Split(name=name, dialogues=rows, fingerprint=digest)


class Trained(NamedTuple):
    """What a run said, where it is, and the gradient's norm at each step of the optimizer."""

    said: list
    folder: Path
    norms: list[float]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    torch = pytest.importorskip("torch")
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    folder, said, norms = tmp_path_factory.mktemp("smoke"), [], []

    def measure(optimizer, *_):
        grads = [p.grad for group in optimizer.param_groups for p in group["params"]]
        norms.append(float(torch.cat([grad.flatten() for grad in grads]).norm()))

    hook = register_optimizer_step_pre_hook(measure)
    try:
        recipe = resolve("tiny-qlora", sets=SETS).recipe
        job = TrainJob(
            recipe=recipe,
            train=split("train", PLACES, "#Person1#과 #Person2#는 {} 세 시에 만납니다."),
            dev=split("dev", ("수영장에서", "공원에서"), "XYZ QUVW xyz quvw"),
            folder=folder, emit=said.append, stop_asked=lambda: False,
        )  # fmt: skip
        engine.load(recipe.engine).train(job)
    finally:
        hook.remove()
    return Trained(said, folder, norms)


def of(kind, said):
    return [event for event in said if isinstance(event, kind)]


def test_four_steps_have_the_losses_they_always_had(trained):
    steps = of(TrainStep, trained.said)
    assert [event.loss for event in steps] == pytest.approx(LOSSES, rel=1e-3)
    assert {event.rows for event in steps} == {len(PLACES)}


def test_no_step_is_longer_than_the_clipped_gradient(trained):
    steps = of(TrainStep, trained.said)
    assert all(event.clipped and event.grad_norm > MAX_GRAD_NORM for event in steps)
    assert max(trained.norms) == pytest.approx(MAX_GRAD_NORM, rel=1e-3)


def test_three_evaluations_without_a_gain_end_the_run(trained):
    losses = [event.loss for event in of(Evaluated, trained.said)]
    assert len(losses) == 1 + 4, "at the start, and after each of four steps"
    assert min(losses) == losses[1]


def test_the_best_checkpoint_is_kept_and_its_weights_are_handed_over(trained):
    from safetensors import safe_open

    from yoyak.engine.models import weights

    assert weights.read(trained.folder / "weights").step == 1
    kept = sorted(path.name for path in (trained.folder / "checkpoints").glob("step-*"))
    assert kept == ["step-000001", "step-000003", "step-000004"]
    assert all(atomic.verify_folder(trained.folder / "checkpoints" / name) for name in kept)

    def values(path):
        with safe_open(path, "np") as file:
            return sorted(file.get_tensor(name).tobytes() for name in file.keys())  # noqa: SIM118

    best, last = (
        values(trained.folder / "checkpoints" / name / "trainables.safetensors")
        for name in (kept[0], kept[-1])
    )
    assert values(trained.folder / "weights" / "adapter_model.safetensors") == best != last
