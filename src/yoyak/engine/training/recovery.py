"""What the loop does when memory runs out or numbers stop being numbers."""

import math
from collections.abc import Sequence
from contextlib import suppress

import msgspec

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.engine.models.collate import MicroBatchLimits, micro_batches
from yoyak.engine.seed import seed_all
from yoyak.engine.training.checkpoint import TrainState
from yoyak.engine.training.context import TrainContext
from yoyak.errors import RunFailed

WORTHWHILE_TOKENS = 1_024
"""Below this, a smaller pass costs more than computing activations twice."""
TOLERATED = 3
"""Steps in a row that may be lost to a loss or gradient that is not finite."""
SPIKE_AFTER = 20
SPIKE_DEVIATIONS = 3.0
SMOOTHING = 0.1
"""Weight of the newest loss in its moving average."""


def gradients_with_oom_retry(
    context: TrainContext, progress: TrainState
) -> tuple[float, TrainState]:
    """The gradient of the step after ``progress``, in the learner, and its loss per token.

    Raises:
        RunFailed: a single row does not fit.
    """
    return accumulate_gradients(context, progress, context.schedule.rows(progress.step))


def accumulate_gradients(
    context: TrainContext, progress: TrainState, chosen: Sequence[int]
) -> tuple[float, TrainState]:
    """As ``gradient``, for any rows.

    As long as memory runs out, that very step is tried again in smaller passes, with the same
    random numbers; what was learned about the memory is in the progress.

    Raises:
        RunFailed: a single row does not fit.
    """
    optimizer = context.optimizer
    while True:
        cut = micro_batches(chosen, context.shapes, micro_batch_limits(context, progress))
        parts = [[context.rows[row] for row in part] for part in cut]
        # The 0 is what earlier versions drew with, whose checkpoints go on to the same bits.
        seed_all(context.job.recipe.train.seed, "step", progress.step, 0)
        loss: float | None = None
        # What follows is no handler: a live traceback would keep the failed pass's tensors.
        with suppress(torch.OutOfMemoryError):
            loss = optimizer.gradient(parts, packed=progress.packed)
        if loss is not None:
            return loss, progress
        smaller = _smaller(context, progress, cut)
        optimizer.forget()
        torch.cuda.empty_cache()
        if smaller.recompute is not progress.recompute:
            optimizer.recompute(smaller.recompute)
        progress = smaller


def skipped_step(context: TrainContext, progress: TrainState) -> TrainState:
    """The progress after a step that was left out because its numbers are not finite."""
    context.optimizer.forget()
    context.warn("engine.not-finite", step=progress.step + 1)
    return msgspec.structs.replace(
        progress, step=progress.step + 1, skipped_steps=progress.skipped_steps + 1
    )


def roll_back(context: TrainContext, progress: TrainState) -> TrainState:
    """The last good checkpoint at half the learning rate.

    Raises:
        RunFailed: the run has had its one roll-back, or there is nothing good to go back to.
    """
    good = context.checkpoints.newest_good()
    if progress.rolled_back or good is None:
        raise RunFailed("engine.diverged", step=progress.step, tolerated=TOLERATED)
    context.checkpoints.remove_after(good)
    context.restore(good)
    context.warn("engine.rolled-back", step=progress.step, good=good)
    return msgspec.structs.replace(
        context.checkpoints.progress_at(good),
        rate_scale=0.5,
        # What the device has taught since then stays true.
        budget_tokens=progress.budget_tokens,
        recompute=progress.recompute,
    )


def detect_loss_spike(context: TrainContext, progress: TrainState, loss: float) -> TrainState:
    """The progress after an applied step; a loss far above its moving average is pointed out."""
    step = progress.step + 1
    if progress.loss_mean is None:
        return msgspec.structs.replace(progress, step=step, skipped_steps=0, loss_mean=loss)
    distance = loss - progress.loss_mean
    usual = SPIKE_DEVIATIONS * math.sqrt(progress.loss_variance)
    if step > SPIKE_AFTER and distance > max(usual, 0.5 * progress.loss_mean):
        mean = f"{progress.loss_mean:.3f}"
        context.warn("engine.loss-spike", step=step, loss=f"{loss:.3f}", mean=mean)
    variance = (1 - SMOOTHING) * (progress.loss_variance + SMOOTHING * distance * distance)
    return msgspec.structs.replace(
        progress,
        step=step,
        skipped_steps=0,
        loss_mean=progress.loss_mean + SMOOTHING * distance,
        loss_variance=variance,
    )


def micro_batch_limits(context: TrainContext, progress: TrainState) -> MicroBatchLimits:
    """What bounds one forward pass."""
    settings = context.job.recipe.train
    return MicroBatchLimits(
        settings.micro_batch_size or settings.batch_size, progress.budget_tokens, progress.packed
    )


def _smaller(
    context: TrainContext, progress: TrainState, cut: Sequence[Sequence[int]]
) -> TrainState:
    """The progress after memory ran out: half the pass, or more activations computed twice."""
    tokens_of = micro_batch_limits(context, progress).tokens_of
    tokens = max(tokens_of([context.shapes[row] for row in part]) for part in cut)
    ladder = context.job.recipe.train.recomputes
    further = [each for each in ladder if each.saves_over(progress.recompute)]
    alone = all(len(part) == 1 for part in cut)
    if further and (alone or tokens <= 2 * WORTHWHILE_TOKENS):
        smaller = msgspec.structs.replace(progress, recompute=further[0])
    elif alone:
        longest = max((row for part in cut for row in part), key=lambda r: sum(context.shapes[r]))
        raise RunFailed("engine.row-out-of-memory", id=context.rows[longest].id, tokens=tokens)
    else:
        smaller = msgspec.structs.replace(progress, budget_tokens=tokens // 2)
    context.warn(
        "engine.memory-replay",
        step=progress.step + 1,
        tokens=tokens,
        budget=smaller.budget_tokens,
        recompute=smaller.recompute,
    )
    return smaller
