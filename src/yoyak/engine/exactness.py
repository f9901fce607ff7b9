"""Whether a device repeats itself to the bit, shown by two short runs, and the mode that helps it.

Kernels on cards may add up in an order that changes from run to run. PyTorch has deterministic
forms of most, attention's backward pass among them, and refuses those that have none.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.engine.checkpoint import Progress
from yoyak.engine.course import Course
from yoyak.engine.recovery import attempt

STEPS = 3
"""Optimiser steps of a short run: the last one starts from moments that are not zero."""


def proved(course: Course, progress: Progress) -> Progress:
    """The progress with what two short runs from its state have shown; all else is as before.

    A device that does not repeat itself, or has no deterministic form of a kernel that is needed,
    trains with its usual kernels, and the run says so.
    """
    wished = course.job.recipe.train.deterministic
    device = course.learner.loaded.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    try:
        with kernels(deterministic=wished):
            same = repeats(course, progress)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        if not wished or "deterministic" not in str(error):
            raise
        # PyTorch names the operation that has no deterministic form.
        course.warn("engine.not-deterministic", device=name, problem=str(error).split(". ")[0])
        same = False
    else:
        if not same:
            course.warn("engine.not-exact", device=name)
    return msgspec.structs.replace(progress, deterministic=wished and same)


def repeats(course: Course, progress: Progress) -> bool:
    """Whether two short runs from the same state end with the same weights, to the bit.

    Weights, moments and gradients are as before; random numbers belong to steps anyhow.
    """
    learner = course.learner
    before = _copies(learner.named), _copies(learner.moments())
    ends = []
    try:
        for _ in range(2):
            _short_run(course, progress)
            ends.append(_copies(learner.named))
            learner.load(before[0])
            learner.load_moments(before[1])
    finally:
        learner.forget()
        learner.load(before[0])
        learner.load_moments(before[1])
    same = all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    return not course.world.any(not same)


def _short_run(course: Course, progress: Progress) -> None:
    settings = course.job.recipe.train
    for step in range(min(STEPS, course.timetable.steps)):
        attempt(course, msgspec.structs.replace(progress, step=step), course.timetable.rows(step))
        course.learner.clip()
        # The full rate: while it warms up, nothing would move.
        course.learner.apply(settings.learning_rate)


@contextmanager
def kernels(*, deterministic: bool) -> Iterator[None]:
    """Deterministic kernels inside the block if so wished, else those that are usual."""
    if not deterministic:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    cuda: Any = torch.backends.cuda
    attention = cuda.cudnn_sdp_enabled()
    memory: Any = torch.utils.deterministic
    fill = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    # It guards against programs that read what they never wrote, and would cost every allocation.
    memory.fill_uninitialized_memory = False
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    # Flash and memory-efficient attention have a deterministic backward pass, cuDNN's has none.
    cuda.enable_cudnn_sdp(False)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        memory.fill_uninitialized_memory = fill
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
        cuda.enable_cudnn_sdp(attention)


def _copies(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """On the CPU, so that the card holds nothing twice."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}
