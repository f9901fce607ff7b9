"""Training jobs that take a second, and their contexts just before the first step."""

import hashlib

import pytest

from yoyak import engine
from yoyak.config.load import resolve
from yoyak.config.schema import Greedy
from yoyak.values import Split

SMALL = (
    "model.scratch.vocabulary=400",
    "model.scratch.width=32",
    "prompt.max_source_tokens=256",
    "prompt.max_summary_tokens=64",
    "train.save_every_steps=3",
    "train.warmup_ratio=0.1",
    "train.batch_size=4",
    "train.micro_batch_size=2",
)
FORMS = {
    "bart": ("tiny-bart", ()),
    "lora": ("tiny-qlora", ("model.quantisation=none", "model.scratch.pretrain_epochs=0")),
    "nf4": ("tiny-qlora", ("model.scratch.width=64", "model.scratch.pretrain_epochs=0")),
}


def as_split(name, dialogues) -> Split:
    digest = hashlib.sha256("".join(each.id + each.text for each in dialogues).encode())
    return Split(name=name, dialogues=tuple(dialogues), fingerprint=digest.hexdigest())


@pytest.fixture
def recipe_of():
    """The recipe of a form (bart, lora, nf4), small, with further settings."""

    def make(form: str, *sets: str):
        name, own = FORMS[form]
        return resolve(name, sets=(*SMALL, *own, *sets)).recipe

    return make


@pytest.fixture
def job(tmp_path, dialogues, recipe_of):
    """A training job; what it says is appended to the ``said`` list of the function."""

    def make(form, *sets, rows=16, folder=None, stop=lambda: False, emit=None):
        return engine.TrainJob(
            recipe=recipe_of(form, *sets),
            train=as_split("train", dialogues[:rows]),
            dev=as_split("dev", dialogues[20:26]),
            folder=folder or tmp_path / "run",
            emit=emit or make.said.append,
            stop_asked=stop,
        )

    make.said = []
    return make


def run_training(job):
    """Train as a worker does, preflight checks and all."""
    engine.load(job.recipe.engine).train(job)


def answers(job, dialogues, decode=None, loaded=None):
    """What the engine of a trained job, loaded or new, predicts, by id."""
    predictions = (loaded or engine.load(job.recipe.engine)).generate(
        engine.GenerateJob(
            recipe=job.recipe,
            decode=decode or Greedy(),
            dialogues=dialogues,
            train=job.train,
            folder=job.folder,
            emit=job.emit,
        )
    )
    return {prediction.id: prediction for prediction in predictions}


@pytest.fixture
def context(job):
    """The training context of a job, before its first step."""
    from yoyak.engine.pipeline import finetune

    def make(form, *sets, **job_settings):
        kind = "seq2seq" if form == "bart" else "causal"
        asked = job(form, *sets, **job_settings)
        return finetune.build_context(asked, finetune.prepare(asked, kind))

    make.said = job.said
    return make


@pytest.fixture
def bits():
    """What the learnable weights are, bit for bit."""

    def make(optimizer) -> str:
        digest = hashlib.sha256()
        for name, value in sorted(optimizer.named.items()):
            digest.update(name.encode() + value.detach().numpy().tobytes())
        return digest.hexdigest()

    return make


def train(context):
    """Train as the pipeline does, without the preflight checks; return the last state."""
    from yoyak.engine.pipeline.start import load_or_start
    from yoyak.engine.training import trainer

    return trainer.train(context, load_or_start(context))


STEPS = 11
SETS = (f"train.max_steps={STEPS}", "train.epochs=9", "evaluate.every_epochs=1", "evaluate.rows=2")


class Crash(Exception):
    """A kill as seen from inside the process."""


def finish(context, bits):
    """Train to the end; return the last state and the digest of the weights."""
    state = train(context)
    return state, bits(context.optimizer)


@pytest.fixture(scope="session")
def known():
    """How runs of each form ended, by form."""
    return {}


@pytest.fixture
def whole(context, bits, tmp_path, known):
    """Return how an uninterrupted run of a form ends, which is run once."""

    def make(form):
        if form not in known:
            known[form] = finish(context(form, *SETS, folder=tmp_path / "whole"), bits)
            context.said.clear()
        return known[form]

    return make
