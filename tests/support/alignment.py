"""Jobs of metric-aware training that take a second, from supervised weights made once."""

import hashlib
from concurrent.futures import Future

import pytest

from support.training import FORMS, SMALL, as_split, run_training
from yoyak import engine
from yoyak.config.load import resolve

TOYS = {
    "bart": ("train.max_steps=12", "train.epochs=9", "train.learning_rate=5e-3"),
    "lora": ("train.max_steps=3", "train.epochs=9", "train.learning_rate=1e-2"),
}
ALIGN = (
    "align.samples=3",
    "align.batch_size=2",
    "align.learning_rate=1e-3",
    "align.max_steps=5",
    "align.evaluate_every_steps=3",
    "train.save_every_steps=2",
    "evaluate.rows=4",
    "decode.max_new_tokens=12",
)


class InlineRewards:
    """Stands in for ``RewardPool``: computes at once, in this process."""

    def __init__(self, settings, compute=None):
        from yoyak.engine.alignment.rewards import group_rewards

        self._settings, self._compute = settings, compute or group_rewards
        self.waited_seconds = 0.0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, groups, settings=None):
        future = Future()
        future.set_result(self._compute(groups, settings or self._settings))
        return future

    def result(self, rewards):
        return rewards.result()


@pytest.fixture
def inline_rewards(monkeypatch):
    """Compute rewards in this process."""
    from yoyak.engine.pipeline import align

    monkeypatch.setattr(align, "RewardPool", InlineRewards)


@pytest.fixture(scope="session")
def supervised(dialogues, tmp_path_factory):
    """The folder of a supervised training of a form, trained once."""
    made = {}

    def make(form):
        if form not in made:
            made[form] = tmp_path_factory.mktemp(form) / "supervised"
            name, own = FORMS[form]
            sets = (*SMALL, *own, *TOYS[form], "evaluate.every_epochs=none")
            run_training(
                engine.TrainJob(
                    recipe=resolve(name, sets=sets).recipe,
                    train=as_split("train", dialogues[:16]),
                    dev=as_split("dev", dialogues[20:26]),
                    folder=made[form],
                    emit=lambda event: None,
                    stop_asked=lambda: False,
                )
            )
        return made[form]

    return make


@pytest.fixture
def align_job(job, supervised, tmp_path):
    """A job of metric-aware training of a form, with further settings."""

    def make(form, *sets, folder=None, **others):
        asked = job(form, *ALIGN, *sets, folder=folder or tmp_path / "aligned", **others)
        return asked._replace(supervised=supervised(form))

    make.said = job.said
    return make


def digest_of(folder):
    """What the weights of a finished job are, bit for bit, and its records."""
    paths = [
        *sorted((folder / "weights").glob("*.safetensors")),
        *sorted((folder / "align").glob("*.jsonl")),
    ]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
