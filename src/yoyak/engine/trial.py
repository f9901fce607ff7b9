"""What is tried on a card before the first step: the largest pass, and whether a step repeats."""

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.engine.batches import padded_tokens
from yoyak.engine.checkpoint import Progress
from yoyak.engine.course import Course
from yoyak.engine.recovery import attempt, limits


def tried(course: Course, progress: Progress) -> Progress:
    """The progress after the trials; weights, moments and random numbers are as before.

    A run that would meet its largest pass in the third hour meets it now. On a CPU, memory is not
    so short and arithmetic repeats itself, so nothing is tried there.
    """
    if course.learner.loaded.device.type == "cpu":
        return progress
    progress = largest_pass(course, progress)
    if not repeats(course, progress):
        course.warn("engine.not-exact", device=torch.cuda.get_device_name())
    return progress


def largest_pass(course: Course, progress: Progress) -> Progress:
    """The progress after the largest forward and backward pass of the run, smaller if need be.

    Raises:
        RunFailed: the longest row does not fit alone.
    """
    bounds = limits(course, progress)
    rows = sorted(range(len(course.rows)), key=lambda row: -sum(course.shapes[row]))
    count = 1
    while count < min(bounds.rows, len(rows)) and (
        padded_tokens([course.shapes[row] for row in rows[: count + 1]]) <= bounds.tokens
    ):
        count += 1
    _, found = attempt(course, progress, rows[: count * course.world.size])
    course.learner.forget()
    return found


def repeats(course: Course, progress: Progress) -> bool:
    """Whether the first step's gradient comes out the same to the bit a second time."""
    chosen = course.timetable.rows(progress.step)
    gradients = []
    for _ in range(2):
        attempt(course, progress, chosen)
        found = [value.grad for value in course.learner.named.values()]
        gradients.append([grad.clone() for grad in found if grad is not None])
        course.learner.forget()
    return all(map(torch.equal, *gradients))
