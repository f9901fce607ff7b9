"""The training loop of every model, encoder-decoder or 4-bit LLM.

It moves a ``TrainState`` and a ``ModelOptimizer`` from step to step and emits events. Randomness is
a pure function of (seed, step) and everything else of the state, so that a run that is killed at
any point and resumed ends with the same weights.
"""

import math
import time
from typing import NamedTuple, NoReturn

import msgspec

from yoyak import events
from yoyak.engine.models.model import count_parameters
from yoyak.engine.training.checkpoint import TrainState
from yoyak.engine.training.context import TrainContext
from yoyak.engine.training.deterministic_kernels import deterministic_kernels
from yoyak.engine.training.evaluation import EvalMetrics
from yoyak.engine.training.recovery import (
    TOLERATED,
    accumulate_gradients,
    detect_loss_spike,
    roll_back,
    skip_step,
)
from yoyak.errors import Interrupted


def train(context: TrainContext, state: TrainState) -> TrainState:
    """Train from ``state`` to the schedule's end or early stopping; return the last state.

    Weights and optimizer state must be those of step ``state.step``; afterwards they are those of
    the last step, not of the best one.

    Raises:
        Interrupted: ``job.stop_asked`` became true; a checkpoint of the last step is written.
        RunFailed: a single row does not fit the memory, or training diverged twice.
    """
    saved = state if context.checkpoints.steps() else None
    context.job.emit(_prepared(context))
    while True:
        if _is_evaluation_due(context, state):
            state = _evaluate(context, state)
        if context.schedule.is_save_step(state.step) and state != saved:
            saved = _write_checkpoint(context, state)
        # An evaluation that is still due was interrupted by a stop request.
        interrupted = _is_evaluation_due(context, state)
        if _is_over(context, state) and not interrupted:
            _warn_if_nothing_gained(context, state)
            return state
        if interrupted or context.job.stop_asked():
            _stop(context, state, saved)
        state = (context.step or supervised_step)(context, state)
        if state.skipped_steps == TOLERATED:
            state = saved = roll_back(context, state)


def _stop(context: TrainContext, state: TrainState, saved: TrainState | None) -> NoReturn:
    if state != saved:
        _write_checkpoint(context, state)
    context.job.emit(events.Stopped(at=time.time(), step=state.step, reason=context.stage))
    raise Interrupted("engine.stopped", step=state.step, steps=context.schedule.steps)


def supervised_step(context: TrainContext, state: TrainState) -> TrainState:
    """Make one step on the cross entropy of the reference summaries."""
    started = time.perf_counter()
    step_rows = context.schedule.rows(state.step)
    with deterministic_kernels(enabled=state.deterministic):
        loss, state = accumulate_gradients(context, state, step_rows)
        update = update_weights(context, state, loss)
    if update is None:
        return skip_step(context, state)
    rows = [context.rows[row] for row in step_rows]
    state = detect_loss_spike(context, state, loss)
    context.job.emit(
        events.TrainStep(
            at=time.time(),
            step=state.step,
            epoch=context.schedule.epoch(state.step),
            loss=loss,
            learning_rate=update.learning_rate,
            grad_norm=update.grad_norm,
            tokens=sum(len(row.source_ids) + len(row.answer_ids) for row in rows),
            supervised_tokens=sum(len(row.answer_ids) for row in rows),
            rows=len(rows),
            seconds=time.perf_counter() - started,
            clipped=update.grad_norm > context.job.recipe.train.max_grad_norm,
        )
    )
    return state


class Update(NamedTuple):
    """One optimizer step; ``grad_norm`` is before clipping."""

    learning_rate: float
    grad_norm: float


def update_weights(context: TrainContext, state: TrainState, loss: float) -> Update | None:
    """Clip the gradient and make the optimizer step; ``None``, and no step, if not finite."""
    norm = context.optimizer.clip()
    if not (math.isfinite(loss) and math.isfinite(norm)):
        return None
    lr = context.schedule.learning_rate(state.step) * state.rate_scale
    context.optimizer.step(lr)
    return Update(lr, norm)


def _is_evaluation_due(context: TrainContext, state: TrainState) -> bool:
    due = context.evaluator is not None and context.schedule.is_evaluation_step(state.step)
    return due and state.evaluated_step != state.step


def _is_over(context: TrainContext, state: TrainState) -> bool:
    patience = context.job.recipe.evaluate.patience
    stops_early = patience is not None and state.stale >= patience
    return stops_early or state.step >= context.schedule.steps


def _evaluate(context: TrainContext, state: TrainState) -> TrainState:
    """Evaluate dev with the weights and with their moving average, if there is one.

    The state is unchanged if a stop request interrupted it.
    """
    evaluator, average = context.evaluator, context.optimizer.average
    metrics = evaluator(context.job.stop_asked) if evaluator else None
    if evaluator is None or metrics is None:
        return state
    if average is None or state.step == 0:
        state = _record_evaluation(context, state, metrics)
        return context.watch(context, state, metrics) if context.watch else state
    with average.in_place():
        averaged = evaluator(context.job.stop_asked)
    if averaged is None:
        return state
    own = _record_evaluation(context, state, metrics)
    both = _record_evaluation(context, own, averaged, averaged=True)
    stale = 0 if both.best_step == state.step else state.stale + 1
    return msgspec.structs.replace(both, stale=stale)


def _record_evaluation(
    context: TrainContext, state: TrainState, metrics: EvalMetrics, *, averaged: bool = False
) -> TrainState:
    """Emit the metrics and update the best checkpoint; step 0 is a baseline and never the best."""
    metric = context.job.recipe.evaluate.metric
    value, start = metrics.value(metric), state.start_value
    at_start = state.step == 0
    best = not at_start and (state.best_value is None or metric.is_better(value, state.best_value))
    context.job.emit(
        events.Evaluated(
            at=time.time(),
            step=state.step,
            epoch=context.schedule.epoch(state.step),
            rouge=metrics.rouge,
            interval=metrics.interval,
            rows=metrics.rows,
            signature=metrics.signature,
            seconds=metrics.seconds,
            best=best,
            beats_start=None if at_start or start is None else metric.is_better(value, start),
            metric=metric,
            loss=metrics.loss,
            loss_interval=metrics.loss_interval,
            averaged=averaged,
            stage=context.stage,
        )
    )
    if at_start:
        return msgspec.structs.replace(state, evaluated_step=0, start_value=value)
    return msgspec.structs.replace(
        state,
        evaluated_step=state.step,
        best_step=state.step if best else state.best_step,
        best_value=value if best else state.best_value,
        best_averaged=averaged if best else state.best_averaged,
        stale=0 if best else state.stale + 1,
    )


def _warn_if_nothing_gained(context: TrainContext, state: TrainState) -> None:
    start, best = state.start_value, state.best_value
    metric = context.job.recipe.evaluate.metric
    if start is not None and best is not None and not metric.is_better(best, start):
        context.warn(
            "engine.nothing-gained", metric=metric, best=f"{best:.4f}", start=f"{start:.4f}"
        )


def _write_checkpoint(context: TrainContext, state: TrainState) -> TrainState:
    started = time.perf_counter()
    optimizer = context.optimizer
    written = context.checkpoints.save(state, optimizer.named, optimizer.optimizer_state())
    context.job.emit(
        events.CheckpointSaved(
            at=time.time(),
            step=state.step,
            name=written.name,
            size_bytes=written.size_bytes,
            seconds=time.perf_counter() - started,
        )
    )
    return state


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
