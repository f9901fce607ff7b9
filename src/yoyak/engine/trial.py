"""What is tried on a card before the first step.

Which of packing and padding is faster, whether steps repeat themselves, and the largest pass.
"""

from yoyak.engine.checkpoint import Progress
from yoyak.engine.course import Course
from yoyak.engine.exactness import kernels, proved
from yoyak.engine.packing_trial import packed_if_better
from yoyak.engine.recovery import attempt, limits


def tried(course: Course, progress: Progress) -> Progress:
    """The progress after the trials; weights, moments and random numbers are as before.

    A run that would meet its largest pass in the third hour meets it now. On a CPU, memory is not
    so short and arithmetic repeats itself, so nothing is tried there.
    """
    if course.learner.loaded.device.type == "cpu":
        return progress
    if course.job.recipe.train.packing == "auto":
        progress = packed_if_better(course, progress)
    progress = proved(course, progress)
    with kernels(deterministic=progress.deterministic):
        return largest_pass(course, progress)


def largest_pass(course: Course, progress: Progress) -> Progress:
    """The progress after the largest forward and backward pass of the run, smaller if need be.

    Raises:
        RunFailed: the longest row does not fit alone.
    """
    bounds = limits(course, progress)
    rows = sorted(range(len(course.rows)), key=lambda row: -sum(course.shapes[row]))
    count = 1
    while count < min(bounds.rows, len(rows)) and (
        bounds.tokens_of([course.shapes[row] for row in rows[: count + 1]]) <= bounds.tokens
    ):
        count += 1
    _, found = attempt(course, progress, rows[: count * course.world.size])
    course.learner.forget()
    return found
