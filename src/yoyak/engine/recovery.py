"""What the loop does when memory runs out or numbers stop being numbers."""

import math
from collections.abc import Sequence

import msgspec

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.engine.batches import Limits, micro_batches
from yoyak.engine.checkpoint import Progress
from yoyak.engine.course import Course
from yoyak.engine.randomness import seed_all
from yoyak.errors import RunFailed

WORTHWHILE_TOKENS = 1_024
"""Below this, a smaller pass costs more than computing activations twice."""
TOLERATED = 3
"""Steps in a row that may be lost to a loss or gradient that is not finite."""
SPIKE_AFTER = 20
SPIKE_DEVIATIONS = 3.0
SMOOTHING = 0.1
"""Weight of the newest loss in its moving average."""


def gradient(course: Course, progress: Progress) -> tuple[float, Progress]:
    """The gradient of the step after ``progress``, in the learner, and its loss per token.

    Raises:
        RunFailed: a single row does not fit.
    """
    return attempt(course, progress, course.timetable.rows(progress.step))


def attempt(course: Course, progress: Progress, chosen: Sequence[int]) -> tuple[float, Progress]:
    """As ``gradient``, for any rows.

    As long as memory runs out, that very step is tried again in smaller passes, with the same
    random numbers; what was learned about the memory is in the progress.

    Raises:
        RunFailed: a single row does not fit.
    """
    world, learner = course.world, course.learner
    tokens = sum(len(course.rows[row].answer_ids) for row in chosen)
    while True:
        cut = micro_batches(chosen, course.shapes, limits(course, progress))
        parts = [[course.rows[row] for row in part] for part in world.share_of(cut)]
        seed_all(course.job.recipe.train.seed, "step", progress.step, world.rank)
        fits = True
        try:
            loss = learner.gradient(parts, tokens, packed=progress.packed)
        except torch.OutOfMemoryError:
            # Handled below: a live traceback would keep the failed pass's tensors.
            fits, loss = False, math.nan
        if not world.any(not fits):
            world.add_gradients(learner.named.values())
            return world.sum(loss), progress
        smaller = _smaller(course, progress, cut)
        learner.forget()
        torch.cuda.empty_cache()
        if smaller.recompute is not progress.recompute:
            learner.recompute(smaller.recompute)
        progress = smaller


def unapplied(course: Course, progress: Progress) -> Progress:
    """The progress after a step that was left out because its numbers are not finite."""
    course.learner.forget()
    course.warn("engine.not-finite", step=progress.step + 1)
    return msgspec.structs.replace(
        progress, step=progress.step + 1, unapplied=progress.unapplied + 1
    )


def rolled_back(course: Course, progress: Progress) -> Progress:
    """The last good checkpoint at half the learning rate.

    Raises:
        RunFailed: the run has had its one roll-back, or there is nothing good to go back to.
    """
    good = course.checkpoints.newest_good()
    if progress.rolled_back or good is None:
        raise RunFailed("engine.diverged", step=progress.step, tolerated=TOLERATED)
    course.world.only_first(lambda: course.checkpoints.remove_after(good))
    course.restore(good)
    course.warn("engine.rolled-back", step=progress.step, good=good)
    return msgspec.structs.replace(
        course.checkpoints.progress_at(good),
        rate_scale=0.5,
        # What the device has taught since then stays true.
        budget_tokens=progress.budget_tokens,
        recompute=progress.recompute,
    )


def watched(course: Course, progress: Progress, loss: float) -> Progress:
    """The progress after an applied step; a loss far above its moving average is pointed out."""
    step = progress.step + 1
    if progress.loss_mean is None:
        return msgspec.structs.replace(progress, step=step, unapplied=0, loss_mean=loss)
    distance = loss - progress.loss_mean
    usual = SPIKE_DEVIATIONS * math.sqrt(progress.loss_variance)
    if step > SPIKE_AFTER and distance > max(usual, 0.5 * progress.loss_mean):
        mean = f"{progress.loss_mean:.3f}"
        course.warn("engine.loss-spike", step=step, loss=f"{loss:.3f}", mean=mean)
    variance = (1 - SMOOTHING) * (progress.loss_variance + SMOOTHING * distance * distance)
    return msgspec.structs.replace(
        progress,
        step=step,
        unapplied=0,
        loss_mean=progress.loss_mean + SMOOTHING * distance,
        loss_variance=variance,
    )


def limits(course: Course, progress: Progress) -> Limits:
    """What bounds one forward pass of this rank."""
    settings = course.job.recipe.train
    rows_a_rank = -(-settings.batch_rows // course.world.size)
    rows = min(settings.micro_batch_rows or settings.batch_rows, rows_a_rank)
    return Limits(rows, progress.budget_tokens, progress.packed)


def _smaller(course: Course, progress: Progress, cut: Sequence[Sequence[int]]) -> Progress:
    """The progress after memory ran out: half the pass, or more activations computed twice."""
    tokens_of = limits(course, progress).tokens_of
    tokens = max(tokens_of([course.shapes[row] for row in part]) for part in cut)
    ladder = course.job.recipe.train.recomputes
    further = [each for each in ladder if each.saves_over(progress.recompute)]
    alone = all(len(part) == 1 for part in cut)
    if further and (alone or tokens <= 2 * WORTHWHILE_TOKENS):
        smaller = msgspec.structs.replace(progress, recompute=further[0])
    elif alone:
        longest = max((row for part in cut for row in part), key=lambda r: sum(course.shapes[r]))
        raise RunFailed("engine.row-out-of-memory", id=course.rows[longest].id, tokens=tokens)
    else:
        smaller = msgspec.structs.replace(progress, budget_tokens=tokens // 2)
    course.warn(
        "engine.memory-replay",
        step=progress.step + 1,
        tokens=tokens,
        budget=smaller.budget_tokens,
        recompute=smaller.recompute,
    )
    return smaller
