"""The training loop: one for koBART and for the 4-bit LLMs, and it reads from top to bottom.

It moves a ``Progress`` (a value) and a ``Learner`` (the weights) from step to step and tells what
happened as events. Everything random is a pure function of (seed, step), everything else of the
progress, so a run that is killed anywhere and started again ends with the same weights.
"""

import math
import time
from typing import NoReturn

import msgspec

from yoyak import events
from yoyak.engine.models.model import count_parameters
from yoyak.engine.training.checkpoint import TrainState
from yoyak.engine.training.context import TrainContext
from yoyak.engine.training.deterministic_kernels import deterministic_kernels
from yoyak.engine.training.evaluation import EvalMetrics
from yoyak.engine.training.recovery import (
    TOLERATED,
    detect_loss_spike,
    gradients_with_oom_retry,
    roll_back,
    skipped_step,
)
from yoyak.errors import Interrupted


def train(context: TrainContext, progress: TrainState) -> TrainState:
    """Trains from ``progress`` to the schedule's end, or to early stopping.

    Weights and optimizer are as after step ``progress.step``, and afterwards as after the last.

    Raises:
        Interrupted: someone asked to stop; everything is saved.
        RunFailed: memory or numbers gave out beyond repair.
    """
    saved = progress if context.checkpoints.steps() else None
    context.job.emit(_prepared(context))
    while True:
        if _is_evaluation_due(context, progress):
            progress = _evaluate(context, progress)
        if context.schedule.is_saved_at(progress.step) and progress != saved:
            saved = _save(context, progress)
        # What is still to be judged was given up because someone asked to stop.
        given_up = _is_evaluation_due(context, progress)
        if _is_over(context, progress) and not given_up:
            _warn_if_nothing_gained(context, progress)
            return progress
        if given_up or context.job.stop_asked():
            _stop(context, progress, saved)
        progress = _step(context, progress)
        if progress.skipped_steps == TOLERATED:
            progress = saved = roll_back(context, progress)


def _stop(context: TrainContext, progress: TrainState, saved: TrainState | None) -> NoReturn:
    if progress != saved:
        _save(context, progress)
    context.job.emit(events.Stopped(at=time.time(), step=progress.step, reason="train"))
    raise Interrupted("engine.stopped", step=progress.step, steps=context.schedule.steps)


def _step(context: TrainContext, progress: TrainState) -> TrainState:
    """The step after ``progress``: gradient, clipping, optimiser, event."""
    started = time.perf_counter()
    with deterministic_kernels(enabled=progress.deterministic):
        loss, progress = gradients_with_oom_retry(context, progress)
        norm = context.optimizer.clip()
        if not (math.isfinite(loss) and math.isfinite(norm)):
            return skipped_step(context, progress)
        rate = context.schedule.learning_rate(progress.step) * progress.rate_scale
        context.optimizer.apply(rate)
    rows = [context.rows[row] for row in context.schedule.rows(progress.step)]
    progress = detect_loss_spike(context, progress, loss)
    context.job.emit(
        events.TrainStep(
            at=time.time(),
            step=progress.step,
            epoch=context.schedule.epoch(progress.step),
            loss=loss,
            learning_rate=rate,
            grad_norm=norm,
            tokens=sum(len(row.source_ids) + len(row.answer_ids) for row in rows),
            supervised_tokens=sum(len(row.answer_ids) for row in rows),
            rows=len(rows),
            seconds=time.perf_counter() - started,
            clipped=norm > context.job.recipe.train.max_grad_norm,
        )
    )
    return progress


def _is_evaluation_due(context: TrainContext, progress: TrainState) -> bool:
    due = context.judge is not None and context.schedule.is_judged_at(progress.step)
    return due and progress.evaluated_step != progress.step


def _is_over(context: TrainContext, progress: TrainState) -> bool:
    patience = context.job.recipe.evaluate.patience
    tired = patience is not None and progress.stale >= patience
    return tired or progress.step >= context.schedule.steps


def _evaluate(context: TrainContext, progress: TrainState) -> TrainState:
    """The progress with this moment's verdict; unchanged where someone asked to stop meanwhile."""
    verdict = context.judge(context.job.stop_asked) if context.judge else None
    return progress if verdict is None else _record_evaluation(context, progress, verdict)


def _record_evaluation(
    context: TrainContext, progress: TrainState, verdict: EvalMetrics
) -> TrainState:
    metric = context.job.recipe.evaluate.metric
    value, best = verdict.value(metric), progress.best_value
    at_start = progress.step == 0
    better = not at_start and (best is None or metric.is_better(value, best))
    context.job.emit(
        events.Evaluated(
            at=time.time(),
            step=progress.step,
            epoch=context.schedule.epoch(progress.step),
            rouge=verdict.rouge,
            interval=verdict.interval,
            rows=verdict.rows,
            signature=verdict.signature,
            seconds=verdict.seconds,
            best=better,
            metric=metric,
            loss=verdict.loss,
            loss_interval=verdict.loss_interval,
        )
    )
    if at_start:
        return msgspec.structs.replace(progress, evaluated_step=0, start_value=value)
    return msgspec.structs.replace(
        progress,
        evaluated_step=progress.step,
        best_step=progress.step if better else progress.best_step,
        best_value=value if better else best,
        stale=0 if better else progress.stale + 1,
    )


def _warn_if_nothing_gained(context: TrainContext, progress: TrainState) -> None:
    start, best = progress.start_value, progress.best_value
    metric = context.job.recipe.evaluate.metric
    if start is not None and best is not None and not metric.is_better(best, start):
        found = f"{best:.4f}", f"{start:.4f}"
        context.warn("engine.nothing-gained", metric=metric, best=found[0], start=found[1])


def _save(context: TrainContext, progress: TrainState) -> TrainState:
    started = time.perf_counter()
    optimizer = context.optimizer
    size = context.checkpoints.save(progress, optimizer.named, optimizer.moments())
    context.job.emit(
        events.CheckpointSaved(
            at=time.time(),
            step=progress.step,
            name=size.name,
            size_bytes=size.size_bytes,
            seconds=time.perf_counter() - started,
        )
    )
    return progress


def _prepared(context: TrainContext) -> events.Prepared:
    rows, schedule = context.rows, context.schedule
    return events.Prepared(
        at=time.time(),
        rows=len(rows),
        rows_shortened=sum(row.shortened for row in rows),
        steps=schedule.steps,
        steps_per_epoch=schedule.steps_per_epoch,
        tokens_per_epoch=sum(len(row.source_ids) + len(row.answer_ids) for row in rows),
        supervised_tokens_per_epoch=sum(len(row.answer_ids) for row in rows),
        parameters=count_parameters(context.optimizer.bundle.model.parameters()),
        trainable_parameters=count_parameters(context.optimizer.named.values()),
    )
