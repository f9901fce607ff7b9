"""Fine-tune a model from a training job to saved weights, for every engine with a model."""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec

from yoyak.data.dev_halves import halves
from yoyak.data.few_shot import choose_examples
from yoyak.engine import TrainJob
from yoyak.engine.device import detect, limit_threads, precision_for, silence_libraries
from yoyak.engine.inference.max_length import default_max_new_tokens
from yoyak.engine.model_classes import Kind
from yoyak.engine.models import weights
from yoyak.engine.models.collate import shape_of
from yoyak.engine.models.kernels import KernelOptions, refuse_unsupported_kernels
from yoyak.engine.models.load import SCRATCH, BaseModel, load_base
from yoyak.engine.models.lora import add_lora, initial_adapters
from yoyak.engine.models.loss import refuse_without_dropout
from yoyak.engine.models.model import ModelBundle, refuse_beyond_positions
from yoyak.engine.models.reach import freeze_unreached
from yoyak.engine.models.weights import SavedWeights, WeightsForm
from yoyak.engine.pipeline.base_model import find_base
from yoyak.engine.pipeline.start import load_checkpoint, start_state
from yoyak.engine.preflight.run import run_preflight
from yoyak.engine.tokenization import cache
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.engine.tokenization.script_filter import blocked_token_ids
from yoyak.engine.tokenization.tokenizer import load_tokenizer
from yoyak.engine.training.checkpoint import CheckpointIdentity, Checkpoints, TrainState
from yoyak.engine.training.context import TrainContext
from yoyak.engine.training.data_parallel import (
    GradientSource,
    Identity,
    compute_gradients,
    is_helper,
    other_ranks,
)
from yoyak.engine.training.evaluation import Evaluator, evaluation_rows
from yoyak.engine.training.optimizer import ModelOptimizer, model_optimizer
from yoyak.engine.training.schedule import TrainSchedule
from yoyak.engine.training.trainer import train
from yoyak.engine.training.weight_average import average_of
from yoyak.errors import BadRecipe
from yoyak.events import Warned
from yoyak.files import atomic
from yoyak.values import Dialogue


class FinetuneInputs(NamedTuple):
    """What a run needs before its first step; the model has its adapters."""

    bundle: ModelBundle
    base: BaseModel
    rows: Sequence[EncodedRow]
    max_new_tokens: int


def finetune(job: TrainJob, kind: Kind) -> None:
    """Train and write ``weights/``; with 0 epochs only write them; do nothing if they are there.

    Raises:
        Interrupted: ``job.stop_asked`` became true; everything is saved.
        BadRecipe, BadData, Unavailable, RunFailed: as the message says.
    """
    _refuse_other_kind(job, kind)
    if is_helper():
        compute_gradients(partial(_prepare_gradients, job, kind))
        return
    with other_ranks() as main_rank:
        if is_done(job):
            return
        ready = prepare(job, kind)
        state = TrainState(budget_tokens=0)
        if job.recipe.train.epochs:
            context = build_context(job, ready)
            if main_rank is not None:
                context = context._replace(
                    ranks=main_rank(*_gradients(job, ready, context.optimizer))
                )
            start = load_checkpoint(context)
            if start is None:
                described = describe(job, ready, state)
                refused = run_preflight(job, ready.bundle, ready.rows, described)
                start = start_state(context, kernels_refused=refused)
            state = load_best(context, train(context, start))
        described = describe(job, ready, state)
        weights.write(job.folder / weights.FOLDER, described, ready.bundle)


def _prepare_gradients(job: TrainJob, kind: Kind) -> tuple[GradientSource, Identity]:
    """Load what a process needs that only computes gradients."""
    ready = prepare(job, kind)
    autocast_dtype = precision_for(job.recipe, detect()).autocast
    return _gradients(job, ready, model_optimizer(ready.bundle, job.recipe, autocast_dtype))


def _gradients(
    job: TrainJob, ready: FinetuneInputs, optimizer: ModelOptimizer
) -> tuple[GradientSource, Identity]:
    source = GradientSource(optimizer, ready.rows, job.recipe.train.seed)
    parts = (job.recipe.learning_hash, _data_sha256(job), ready.base.sha256)
    return source, source.identity(*parts)


def prepare(job: TrainJob, kind: Kind) -> FinetuneInputs:
    """Load base model and tokenizer, add adapters, and encode the training rows."""
    silence_libraries()
    limit_threads(job.recipe)
    recipe, hardware = job.recipe, detect()
    base = find_base(recipe, job.train, job.folder)
    tokenizer = load_tokenizer(base.name_or_path, recipe, revision=base.revision)
    folder = job.folder / cache.FOLDER
    rows = cache.training_rows(tokenizer, job.train.dialogues, recipe.prompt, folder)
    model: Any = load_base(base, kind, recipe, hardware)
    _warn_of_slow_attention(job, model)
    initial = None
    if recipe.train.epochs:
        if recipe.lora is None:
            freeze_unreached(model)
        else:
            model = add_lora(model, recipe.lora, kind, recipe.train.seed)
            initial = initial_adapters(model, recipe.lora)
    fuses_lora = KernelOptions.of(recipe.train).fused
    bundle = ModelBundle(model, tokenizer, kind, hardware.device, initial, fuses_lora)
    refuse_beyond_positions(bundle, rows)
    if recipe.train.epochs and recipe.train.rdrop_alpha is not None:
        refuse_without_dropout(bundle, rows[0])
    refuse_unsupported_kernels(bundle, recipe.train, precision_for(recipe, hardware))
    return FinetuneInputs(
        bundle, base, rows, default_max_new_tokens(len(row.answer_ids) for row in rows)
    )


def _warn_of_slow_attention(job: TrainJob, model: Any) -> None:
    attention = model.config._attn_implementation
    if attention != "sdpa":
        fields = {"model": type(model).__name__, "attention": str(attention)}
        job.emit(Warned(at=time.time(), key="engine.slow-attention", fields=fields))


def build_context(job: TrainJob, ready: FinetuneInputs) -> TrainContext:
    """Build the training context of a job."""
    recipe = job.recipe
    shapes = [shape_of(row, ready.bundle.kind) for row in ready.rows]
    autocast_dtype = precision_for(recipe, detect()).autocast
    identity = CheckpointIdentity(
        recipe=recipe, data_sha256=_data_sha256(job), base_sha256=ready.base.sha256
    )
    return TrainContext(
        job=job,
        optimizer=model_optimizer(ready.bundle, recipe, autocast_dtype),
        rows=ready.rows,
        shapes=shapes,
        schedule=TrainSchedule(recipe, shapes),
        checkpoints=Checkpoints(job.folder / "checkpoints", identity),
        evaluator=_evaluator(job, ready) if recipe.evaluate.every_epochs else None,
    )


def evaluated_dialogues(job: TrainJob) -> list[Dialogue]:
    """Return the rows of dev that are evaluated during training."""
    recipe, rows = job.recipe, job.dev.dialogues
    if recipe.evaluate.dev_half == "selection":
        rows = tuple(halves(rows)[0])
    return evaluation_rows(rows, recipe.evaluate.rows, recipe.train.seed)


def _evaluator(job: TrainJob, ready: FinetuneInputs) -> Evaluator:
    recipe = job.recipe
    return Evaluator(
        ready.bundle,
        evaluated_dialogues(job),
        recipe,
        max_new_tokens=ready.max_new_tokens,
        blocked=blocked_token_ids(ready.bundle.tokenizer),
        autocast_dtype=precision_for(recipe, detect()).autocast,
    )


def load_best(context: TrainContext, state: TrainState) -> TrainState:
    """Load the best checkpoint's weights, or their moving average where that was better.

    Without an evaluation, the last step is taken, and its average if there is one.
    """
    best, optimizer = state.best_step, context.optimizer
    if best is None or best == state.step:
        if optimizer.average is not None and (best is None or state.best_averaged):
            optimizer.load(optimizer.average.tensors)
            return msgspec.structs.replace(state, best_averaged=True)
        return state
    if not context.checkpoints.is_whole(best):
        context.warn("engine.best-lost", step=best)
        lost = msgspec.structs.replace(state, best_step=None, best_value=None)
        return msgspec.structs.replace(lost, best_averaged=False)
    device = optimizer.bundle.device
    if state.best_averaged:
        optimizer.load(average_of(context.checkpoints.optimizer_state(best, device)))
    else:
        optimizer.load(context.checkpoints.tensors(best, device))
    return state


def describe(job: TrainJob, ready: FinetuneInputs, state: TrainState) -> SavedWeights:
    """Return the description of the weights of ``state``."""
    recipe = job.recipe
    trained: WeightsForm = "whole" if recipe.lora is None else "adapters"
    shots = choose_examples(job.train, recipe.prompt.examples, recipe.train.seed)
    return SavedWeights(
        form=trained if recipe.train.epochs else "base",
        base=SCRATCH if recipe.model.scratch else ready.base.name_or_path,
        revision=ready.base.revision,
        base_sha256=ready.base.sha256,
        learning_hash=recipe.learning_hash,
        data_sha256=_data_sha256(job),
        step=state.step if state.best_step is None else state.best_step,
        max_new_tokens=ready.max_new_tokens,
        metric=recipe.evaluate.metric,
        dev_value=state.best_value,
        averaged=state.best_averaged,
        examples=tuple(row.id for row in shots),
    )


def _data_sha256(job: TrainJob) -> str:
    return atomic.sha256_of(job.train.fingerprint, job.dev.fingerprint)


def is_done(job: TrainJob) -> bool:
    """Return whether the weights of this job are there, whole."""
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
