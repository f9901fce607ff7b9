"""From a job to weights: what both engines do."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from yoyak.data.shots import choose_examples
from yoyak.engine import TrainJob, token_cache, weights
from yoyak.engine.base import SCRATCH, Base, adapt, find_base, load_base
from yoyak.engine.batches import shape_of
from yoyak.engine.card import prove_run
from yoyak.engine.checkpoint import Checkpoints, Identity, Progress
from yoyak.engine.codec import load_codec
from yoyak.engine.course import Course
from yoyak.engine.decode import answer_cap
from yoyak.engine.encode import Encoded
from yoyak.engine.evaluation import Judge, chosen_rows, foreign_to
from yoyak.engine.hardware import detect, limit_threads, precision_for, quieten
from yoyak.engine.learner import Learner
from yoyak.engine.loop import train
from yoyak.engine.models import Kind, Loaded, refuse_beyond_positions
from yoyak.engine.switches import refuse_impossible
from yoyak.engine.timetable import Timetable
from yoyak.engine.weights import Form, Weights
from yoyak.engine.world import join, leave
from yoyak.errors import BadRecipe
from yoyak.events import AnyEvent
from yoyak.store import disk


class Ready(NamedTuple):
    """What there is before the first step; the model has its adapters."""

    loaded: Loaded
    base: Base
    rows: Sequence[Encoded]
    max_new_tokens: int


def fine_tune(job: TrainJob, kind: Kind) -> None:
    """Trains (or, with 0 epochs, only prepares) and writes ``weights/``; done is done.

    Raises:
        Interrupted: someone asked to stop; everything is saved.
        BadRecipe, BadData, Unavailable, RunFailed: as the message says.
    """
    _refuse_other_kind(job, kind)
    if _is_done(job):
        return
    world = join()
    job = job if world.leads else job._replace(emit=_nothing)
    ready = prepare(job, kind)
    progress = Progress(budget_tokens=0)
    if job.recipe.train.epochs:
        course = plan(job, ready)
        if not course.checkpoints.steps():
            described = _described(job, ready, progress)
            world.only_first(lambda: prove_run(job, ready.loaded, ready.rows, described))
        progress = _with_best(course, train(course))
    described = _described(job, ready, progress)
    world.only_first(lambda: weights.write(job.folder / weights.FOLDER, described, ready.loaded))
    leave()


def _nothing(event: AnyEvent) -> None:
    """What ranks behind the first one say."""


def prepare(job: TrainJob, kind: Kind) -> Ready:
    """Base, codec, adapters and training rows of a job."""
    quieten()
    limit_threads(job.recipe)
    recipe, hardware = job.recipe, detect()
    with join().in_turn():
        base = find_base(recipe, job.train, job.folder)
    codec = load_codec(base.place, recipe, revision=base.revision)
    with join().in_turn():
        folder = job.folder / token_cache.FOLDER
        rows = token_cache.training_rows(codec, job.train.dialogues, recipe.prompt, folder)
    model: Any = load_base(base, kind, recipe, hardware)
    if recipe.lora is not None and recipe.train.epochs:
        model = adapt(model, recipe.lora, kind, recipe.train.seed)
    loaded = Loaded(model, codec, kind, hardware.device)
    refuse_beyond_positions(loaded, rows)
    refuse_impossible(loaded, recipe.train, precision_for(recipe, hardware))
    return Ready(loaded, base, rows, answer_cap(len(row.answer_ids) for row in rows))


def plan(job: TrainJob, ready: Ready) -> Course:
    """The course of a job whose parts are ready."""
    recipe, world = job.recipe, join()
    shapes = [shape_of(row, ready.loaded.kind) for row in ready.rows]
    autocast = precision_for(recipe, detect()).autocast
    identity = Identity(recipe=recipe, data_sha256=_data_sha256(job), base_sha256=ready.base.sha256)
    with world.in_turn():
        checkpoints = Checkpoints(job.folder / "checkpoints", identity)
    return Course(
        job=job,
        learner=Learner(ready.loaded, recipe.train, autocast),
        rows=ready.rows,
        shapes=shapes,
        timetable=Timetable(recipe, shapes),
        checkpoints=checkpoints,
        judge=_judge(job, ready) if recipe.evaluate.every_epochs else None,
        world=world,
    )


def _judge(job: TrainJob, ready: Ready) -> Judge:
    recipe = job.recipe
    dialogues = chosen_rows(job.dev.dialogues, recipe.evaluate.rows, recipe.train.seed)
    return Judge(
        ready.loaded,
        dialogues,
        recipe,
        max_new_tokens=ready.max_new_tokens,
        blocked=foreign_to(ready.loaded.codec),
        autocast=precision_for(recipe, detect()).autocast,
    )


def _with_best(course: Course, progress: Progress) -> Progress:
    """Puts the best checkpoint's weights into the model, if training went on after it."""
    best = progress.best_step
    if best is None or best == progress.step:
        return progress
    if not course.checkpoints.is_whole(best):
        course.warn("engine.best-lost", step=best)
        return msgspec.structs.replace(progress, best_step=None, best_value=None)
    course.learner.load(course.checkpoints.tensors(best, course.learner.loaded.device))
    return progress


def _described(job: TrainJob, ready: Ready, progress: Progress) -> Weights:
    recipe = job.recipe
    trained: Form = "whole" if recipe.lora is None else "adapters"
    shots = choose_examples(job.train, recipe.prompt.examples, recipe.train.seed)
    return Weights(
        form=trained if recipe.train.epochs else "base",
        base=SCRATCH if recipe.model.scratch else ready.base.place,
        revision=ready.base.revision,
        base_sha256=ready.base.sha256,
        learning_hash=recipe.learning_hash,
        data_sha256=_data_sha256(job),
        step=progress.step if progress.best_step is None else progress.best_step,
        max_new_tokens=ready.max_new_tokens,
        metric=recipe.evaluate.metric,
        dev_value=progress.best_value,
        examples=tuple(row.id for row in shots),
    )


def _data_sha256(job: TrainJob) -> str:
    return disk.sha256_of(job.train.fingerprint, job.dev.fingerprint)


def _is_done(job: TrainJob) -> bool:
    found = weights.read(job.folder / weights.FOLDER)
    return (
        found is not None
        and found.learning_hash == job.recipe.learning_hash
        and found.data_sha256 == _data_sha256(job)
    )


def _refuse_other_kind(job: TrainJob, kind: Kind) -> None:
    scratch = job.recipe.model.scratch
    style = "source" if kind == "seq2seq" else "chat"
    built = scratch is None or (scratch.architecture == "bart") == (kind == "seq2seq")
    if job.recipe.prompt.style != style or not built:
        raise BadRecipe("engine.other-kind", recipe=job.recipe.name, engine=job.recipe.engine)
