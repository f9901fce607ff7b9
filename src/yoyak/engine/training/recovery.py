"""Retry after out-of-memory errors, skip steps that are not finite, roll back a diverged run."""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple, TypeVar

import msgspec

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.engine.models.collate import MicroBatchLimits, RowShape, micro_batches
from yoyak.engine.seed import seed_all
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.engine.training.checkpoint import TrainState
from yoyak.engine.training.context import TrainContext
from yoyak.engine.training.data_parallel import GradientRequest, GradientSource
from yoyak.errors import RunFailed

Result = TypeVar("Result")
MicroBatches = Sequence[Sequence[int]]
"""The rows of each forward pass, as indices."""

WORTHWHILE_TOKENS = 1_024
"""Below this, smaller micro-batches cost more than recomputing activations."""
TOLERATED = 3
"""Consecutive skipped steps after which the run is rolled back."""
SPIKE_AFTER = 20
SPIKE_DEVIATIONS = 3.0
SPIKE_STEPS = 3
"""Consecutive steps of high loss that make a spike."""
SMOOTHING = 0.1
"""Weight of the newest loss in its moving average."""


def accumulate_gradients(
    context: TrainContext, state: TrainState, chosen: Sequence[int]
) -> tuple[float, TrainState]:
    """Compute the gradient of the rows ``chosen``; return the loss per token and the state.

    Raises:
        RunFailed: as ``fit_memory``.
    """
    optimizer = context.optimizer
    source = GradientSource(optimizer, context.rows, context.job.recipe.train.seed)

    def gradient(cut: MicroBatches) -> float:
        request = GradientRequest(
            step=state.step,
            cut=cut,
            packed=state.packed,
            deterministic=torch.are_deterministic_algorithms_enabled(),
            recompute=optimizer.recompute,
            kernels=optimizer.kernel_options,
        )
        if context.ranks is not None:
            return context.ranks.gradient(request)
        return optimizer.accumulate(len(cut), source.losses(request), packed=state.packed)

    part = StepRows(context.rows, context.shapes, chosen, micro_batch_limits(context, state).rows)
    return fit_memory(context, state, part, gradient)


class StepRows(NamedTuple):
    """What a step computes with: of ``rows`` the indices ``chosen``, so many at once at most."""

    rows: Sequence[EncodedRow]
    shapes: Sequence[RowShape]
    chosen: Sequence[int]
    most_rows: int


def fit_memory(
    context: TrainContext,
    state: TrainState,
    part: StepRows,
    compute: Callable[[MicroBatches], Result],
) -> tuple[Result, TrainState]:
    """Return what ``compute`` returns for the micro-batches of a step, and the state.

    After an out-of-memory error the same step is tried again in smaller micro-batches or with
    activation checkpointing, and with the same random numbers; the state keeps these settings.

    Args:
        context: of the run.
        state: has the limits of a micro-batch.
        part: the rows of the step.
        compute: accumulates gradients; called again, from gradients of ``None``, where it fails.

    Raises:
        RunFailed: a single row does not fit.
    """
    optimizer = context.optimizer
    while True:
        limits = micro_batch_limits(context, state)._replace(rows=part.most_rows)
        cut = micro_batches(part.chosen, part.shapes, limits)
        # The 0 keeps checkpoints of earlier versions exact: they drew with it.
        seed_all(context.job.recipe.train.seed, "step", state.step, 0)
        found: list[Result] = []
        # No except clause: its traceback would keep the failed pass's tensors alive.
        with suppress(torch.OutOfMemoryError):
            found.append(compute(cut))
        if found:
            return found[0], state
        smaller = _smaller(context, state, part, cut)
        optimizer.zero_grad()
        torch.cuda.empty_cache()
        if smaller.recompute is not state.recompute:
            optimizer.set_activation_checkpointing(smaller.recompute)
        state = smaller


def skip_step(context: TrainContext, state: TrainState) -> TrainState:
    """Drop the gradient of a step whose loss or gradient norm is not finite; warn."""
    context.optimizer.zero_grad()
    context.warn("engine.not-finite", step=state.step + 1)
    return msgspec.structs.replace(
        state, step=state.step + 1, skipped_steps=state.skipped_steps + 1
    )


def roll_back(context: TrainContext, state: TrainState) -> TrainState:
    """Restore the last checkpoint without skipped steps and halve the learning rate.

    Raises:
        RunFailed: the run has used its one roll-back, or there is no such checkpoint.
    """
    good = context.checkpoints.newest_good()
    if state.rolled_back or good is None:
        raise RunFailed("engine.diverged", step=state.step, tolerated=TOLERATED)
    context.checkpoints.remove_after(good)
    context.restore(good)
    context.warn("engine.rolled-back", step=state.step, good=good)
    return msgspec.structs.replace(
        context.checkpoints.state_at(good),
        rate_scale=0.5,
        # Limits found by out-of-memory errors since then still hold.
        budget_tokens=state.budget_tokens,
        recompute=state.recompute,
    )


def detect_loss_spike(context: TrainContext, state: TrainState, loss: float) -> TrainState:
    """Advance the step counter; warn of a loss that jumps above its moving average and stays there.

    A single batch of hard rows is no alarm: ``SPIKE_STEPS`` steps in a row have to lie far above
    the average, which does not follow them meanwhile. It then begins anew at the new level, with
    noise in proportion, so that one jump is reported once.
    """
    step = state.step + 1
    state = msgspec.structs.replace(state, step=step, skipped_steps=0)
    if state.loss_mean is None:
        return msgspec.structs.replace(state, loss_mean=loss)
    distance = loss - state.loss_mean
    usual = SPIKE_DEVIATIONS * math.sqrt(state.loss_variance)
    if step > SPIKE_AFTER and distance > max(usual, 0.5 * state.loss_mean):
        if state.high_losses + 1 < SPIKE_STEPS:
            return msgspec.structs.replace(state, high_losses=state.high_losses + 1)
        mean = f"{state.loss_mean:.3f}"
        context.warn("engine.loss-spike", step=step, loss=f"{loss:.3f}", mean=mean)
        scaled = state.loss_variance * (loss / state.loss_mean) ** 2
        return msgspec.structs.replace(state, high_losses=0, loss_mean=loss, loss_variance=scaled)
    variance = (1 - SMOOTHING) * (state.loss_variance + SMOOTHING * distance * distance)
    return msgspec.structs.replace(
        state,
        high_losses=0,
        loss_mean=state.loss_mean + SMOOTHING * distance,
        loss_variance=variance,
    )


def micro_batch_limits(context: TrainContext, state: TrainState) -> MicroBatchLimits:
    """Return the limits of one forward pass."""
    settings, copies = context.job.recipe.train, context.job.recipe.train.row_copies
    rows = settings.micro_batch_size or settings.batch_size
    return MicroBatchLimits(max(1, rows // copies), state.budget_tokens // copies, state.packed)


def _smaller(
    context: TrainContext, state: TrainState, part: StepRows, cut: MicroBatches
) -> TrainState:
    """Return the state with half the token budget or more activation checkpointing; warn."""
    tokens_of = micro_batch_limits(context, state).tokens_of
    tokens = max(tokens_of([part.shapes[row] for row in rows]) for rows in cut)
    tokens *= context.job.recipe.train.row_copies
    levels = context.job.recipe.train.recomputes
    further = [each for each in levels if each.saves_over(state.recompute)]
    alone = all(len(rows) == 1 for rows in cut)
    if further and (alone or tokens <= 2 * WORTHWHILE_TOKENS):
        smaller = msgspec.structs.replace(state, recompute=further[0])
    elif alone:
        longest = max((row for rows in cut for row in rows), key=lambda r: sum(part.shapes[r]))
        raise RunFailed("engine.row-out-of-memory", id=part.rows[longest].id, tokens=tokens)
    else:
        smaller = msgspec.structs.replace(state, budget_tokens=tokens // 2)
    context.warn(
        "engine.memory-replay",
        step=state.step + 1,
        tokens=tokens,
        budget=smaller.budget_tokens,
        recompute=smaller.recompute,
    )
    return smaller
