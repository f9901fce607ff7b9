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
from yoyak.engine.card import prove_switches
from yoyak.engine.checkpoint import Progress, changes
from yoyak.engine.course import Course
from yoyak.engine.evaluation import Verdict
from yoyak.engine.exactness import kernels
from yoyak.engine.models import count_parameters
from yoyak.engine.recovery import TOLERATED, gradient, rolled_back, unapplied, watched
from yoyak.engine.trial import tried
from yoyak.errors import Interrupted
from yoyak.recipe import Train

BUDGET_TOKENS = 4_096
"""Padded tokens of a forward pass where the recipe names no limit."""


def train(course: Course) -> Progress:
    """Trains to the end of the timetable, or until dev summaries have stopped getting better.

    Goes on from the newest whole checkpoint. What learns is left as it is after the last step.

    Raises:
        Interrupted: someone asked to stop; everything is saved.
        RunFailed: memory or numbers gave out beyond repair.
    """
    saved = resumed(course)
    progress = saved or begun(course)
    course.job.emit(_prepared(course))
    while True:
        if _is_to_be_judged(course, progress):
            progress = _judged(course, progress)
        if course.timetable.is_saved_at(progress.step) and progress != saved:
            saved = _save(course, progress)
        # What is still to be judged was given up because someone asked to stop.
        given_up = _is_to_be_judged(course, progress)
        if _is_over(course, progress) and not given_up:
            _warn_if_nothing_gained(course, progress)
            return progress
        if given_up or course.world.any(course.job.stop_asked()):
            _stop(course, progress, saved)
        progress = _step(course, progress)
        if progress.unapplied == TOLERATED:
            progress = saved = rolled_back(course, progress)


def _stop(course: Course, progress: Progress, saved: Progress | None) -> NoReturn:
    if progress != saved:
        _save(course, progress)
    course.job.emit(events.Stopped(at=time.time(), step=progress.step, reason="train"))
    raise Interrupted("engine.stopped", step=progress.step, steps=course.timetable.steps)


def resumed(course: Course) -> Progress | None:
    """The newest whole checkpoint's progress, its weights and moments taken over.

    Raises:
        RunFailed: the checkpoint is of another recipe, other data or another base.
    """
    with course.world.in_turn():
        progress = course.checkpoints.newest()
    for name in course.checkpoints.torn:
        course.warn("engine.torn-checkpoint", name=name)
    if progress is None:
        return None
    progress = under_new_settings(course, progress)
    course.restore(progress.step)
    course.learner.recompute(progress.recompute)
    return progress


def begun(course: Course) -> Progress:
    """Where a run starts that has no checkpoint, after the trials of its device."""
    settings = course.job.recipe.train
    recompute = settings.recomputes[0]
    course.learner.recompute(recompute)
    packed = settings.packing == "on"
    start = Progress(budget_tokens=budget_of(settings), recompute=recompute, packed=packed)
    return tried(course, start)


def budget_of(settings: Train) -> int:
    """Padded tokens of a forward pass, as long as memory lasts."""
    return settings.micro_batch_tokens or BUDGET_TOKENS


def under_new_settings(course: Course, progress: Progress) -> Progress:
    """The progress where the recipe now says another way to compute the same steps.

    A smaller budget counts unless memory has taught a still smaller one; a larger one was asked
    for.
    """
    before, now = course.checkpoints.saved_recipe, course.job.recipe
    told = [told for key, told in changes(before, now).items() if key.startswith("train.")]
    if not told:
        return progress
    course.warn("engine.computed-otherwise", step=progress.step, changes="; ".join(told))
    prove_switches(course.job, course.learner.loaded, course.rows)
    budget, old = budget_of(now.train), budget_of(before.train)
    if budget < old:
        budget = min(budget, progress.budget_tokens)
    elif budget == old:
        budget = progress.budget_tokens
    kept = progress.recompute in now.train.recomputes
    recompute = progress.recompute if kept else now.train.recomputes[0]
    deterministic = progress.deterministic and now.train.deterministic
    packed = {"on": True, "off": False, "auto": progress.packed}[now.train.packing]
    return msgspec.structs.replace(
        progress,
        budget_tokens=budget,
        recompute=recompute,
        deterministic=deterministic,
        packed=packed,
    )


def _step(course: Course, progress: Progress) -> Progress:
    """The step after ``progress``: gradient, clipping, optimiser, event."""
    started = time.perf_counter()
    with kernels(deterministic=progress.deterministic):
        loss, progress = gradient(course, progress)
        norm = course.learner.clip()
        if not (math.isfinite(loss) and math.isfinite(norm)):
            return unapplied(course, progress)
        rate = course.timetable.learning_rate(progress.step) * progress.rate_scale
        course.learner.apply(rate)
    rows = [course.rows[row] for row in course.timetable.rows(progress.step)]
    progress = watched(course, progress, loss)
    course.job.emit(
        events.Stepped(
            at=time.time(),
            step=progress.step,
            epoch=course.timetable.epoch(progress.step),
            loss=loss,
            learning_rate=rate,
            grad_norm=norm,
            tokens=sum(len(row.source_ids) + len(row.answer_ids) for row in rows),
            supervised_tokens=sum(len(row.answer_ids) for row in rows),
            rows=len(rows),
            seconds=time.perf_counter() - started,
            clipped=norm > course.job.recipe.train.max_grad_norm,
        )
    )
    return progress


def _is_to_be_judged(course: Course, progress: Progress) -> bool:
    due = course.judge is not None and course.timetable.is_judged_at(progress.step)
    return due and progress.evaluated_step != progress.step


def _is_over(course: Course, progress: Progress) -> bool:
    patience = course.job.recipe.evaluate.patience
    tired = patience is not None and progress.stale >= patience
    return tired or progress.step >= course.timetable.steps


def _judged(course: Course, progress: Progress) -> Progress:
    """The progress with this moment's verdict; unchanged where someone asked to stop meanwhile."""
    verdict = course.judge(course.job.stop_asked) if course.judge and course.world.leads else None
    if verdict is not None:
        progress = _with_verdict(course, progress, verdict)
    told = course.world.tell(msgspec.json.encode(progress))
    return msgspec.json.decode(told, type=Progress)


def _with_verdict(course: Course, progress: Progress, verdict: Verdict) -> Progress:
    metric = course.job.recipe.evaluate.metric
    value, best = verdict.value(metric), progress.best_value
    at_start = progress.step == 0
    better = not at_start and (best is None or metric.is_better(value, best))
    course.job.emit(
        events.Evaluated(
            at=time.time(),
            step=progress.step,
            epoch=course.timetable.epoch(progress.step),
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


def _warn_if_nothing_gained(course: Course, progress: Progress) -> None:
    start, best = progress.start_value, progress.best_value
    metric = course.job.recipe.evaluate.metric
    if start is not None and best is not None and not metric.is_better(best, start):
        found = f"{best:.4f}", f"{start:.4f}"
        course.warn("engine.nothing-gained", metric=metric, best=found[0], start=found[1])


def _save(course: Course, progress: Progress) -> Progress:
    course.world.only_first(lambda: _written(course, progress))
    return progress


def _written(course: Course, progress: Progress) -> None:
    started = time.perf_counter()
    learner = course.learner
    size = course.checkpoints.save(progress, learner.named, learner.moments())
    course.job.emit(
        events.Saved(
            at=time.time(),
            step=progress.step,
            name=size.name,
            size_bytes=size.size_bytes,
            seconds=time.perf_counter() - started,
        )
    )


def _prepared(course: Course) -> events.Prepared:
    rows, timetable = course.rows, course.timetable
    return events.Prepared(
        at=time.time(),
        rows=len(rows),
        rows_shortened=sum(row.shortened for row in rows),
        steps=timetable.steps,
        steps_per_epoch=timetable.steps_per_epoch,
        tokens_per_epoch=sum(len(row.source_ids) + len(row.answer_ids) for row in rows),
        supervised_tokens_per_epoch=sum(len(row.answer_ids) for row in rows),
        parameters=count_parameters(course.learner.loaded.model.parameters()),
        trainable_parameters=count_parameters(course.learner.named.values()),
    )
