"""Whether the rows of a pass are packed: only where that is proved equal and measured faster."""

import time
from collections.abc import Sequence
from statistics import median

import msgspec

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.engine.checkpoint import Progress
from yoyak.engine.course import Course
from yoyak.engine.hardware import detect, precision_for
from yoyak.engine.packing import obstacle
from yoyak.engine.proof import bench_of
from yoyak.engine.proof_switches import equals_plain
from yoyak.engine.recovery import attempt
from yoyak.engine.switches import Switches

SAMPLED_STEPS = 4
ROUNDS = 3
WORTHWHILE = 0.99
"""Packing has to save more than this leaves; below it the clock's own noise decides."""


def packed_if_better(course: Course, progress: Progress) -> Progress:
    """The progress with packing on if it holds and pays here; what was found is told.

    All ranks try, and rank 0's clock decides for them all.
    """
    reason = _reason_against(course)
    if course.world.any(reason is not None):
        course.warn("engine.packing-impossible", reason=reason or "–")
        return progress
    padded, packed = seconds_of_both(course, progress)
    pays = course.world.tell(b"packed" if packed < WORTHWHILE * padded else b"padded") == b"packed"
    course.warn(
        "engine.packing-faster" if pays else "engine.packing-slower",
        padded=f"{padded:.2f}",
        packed=f"{packed:.2f}",
        steps=SAMPLED_STEPS,
    )
    return msgspec.structs.replace(progress, packed=pays)


def _reason_against(course: Course) -> str | None:
    """Why rows cannot be packed, or what the two gradients differ by; ``None`` if all is well."""
    loaded, recipe = course.learner.loaded, course.job.recipe
    precision = precision_for(recipe, detect())
    reason = obstacle(loaded, precision)
    if reason is not None:
        return reason
    switches = Switches.of(recipe.train)._replace(packed=True)
    bench = bench_of(loaded, course.rows, precision)
    line = equals_plain(bench, "packed-equals-padded", switches)
    return None if line.passed else line.found


def seconds_of_both(course: Course, progress: Progress) -> tuple[float, float]:
    """Median seconds of some of the first epoch's gradients, padded and packed, in turns."""
    every = max(1, course.timetable.steps_per_epoch // SAMPLED_STEPS)
    steps = range(0, course.timetable.steps_per_epoch, every)[:SAMPLED_STEPS]
    sample = [course.timetable.rows(step) for step in steps]
    spent: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(1 + ROUNDS):
        for packed, seconds in spent.items():
            way = msgspec.structs.replace(progress, packed=packed)
            seconds.append(_seconds(course, way, sample))
    # The first round warms up.
    return median(spent[False][1:]), median(spent[True][1:])


def _seconds(course: Course, progress: Progress, sample: Sequence[Sequence[int]]) -> float:
    started = time.perf_counter()
    for rows in sample:
        _, progress = attempt(course, progress, rows)
        course.learner.forget()
    if course.learner.loaded.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started
