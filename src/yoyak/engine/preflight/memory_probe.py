"""What is tried on a card before the first step.

Which of packing and padding is faster, whether steps repeat themselves, and the largest pass.
"""

from yoyak.engine.preflight.determinism import check_determinism
from yoyak.engine.preflight.packing_benchmark import packed_if_better
from yoyak.engine.training.checkpoint import TrainState
from yoyak.engine.training.context import TrainContext
from yoyak.engine.training.deterministic_kernels import deterministic_kernels
from yoyak.engine.training.recovery import accumulate_gradients, micro_batch_limits


def run_device_probes(context: TrainContext, progress: TrainState) -> TrainState:
    """The progress after the trials; weights, moments and random numbers are as before.

    A run that would meet its largest pass in the third hour meets it now. On a CPU, memory is not
    so short and arithmetic repeats itself, so nothing is tried there.
    """
    if context.optimizer.bundle.device.type == "cpu":
        return progress
    if context.job.recipe.train.packing == "auto":
        progress = packed_if_better(context, progress)
    progress = check_determinism(context, progress)
    with deterministic_kernels(enabled=progress.deterministic):
        return probe_peak_memory(context, progress)


def probe_peak_memory(context: TrainContext, progress: TrainState) -> TrainState:
    """The progress after the largest forward and backward pass of the run, smaller if need be.

    Raises:
        RunFailed: the longest row does not fit alone.
    """
    bounds = micro_batch_limits(context, progress)
    rows = sorted(range(len(context.rows)), key=lambda row: -sum(context.shapes[row]))
    count = 1
    while count < min(bounds.rows, len(rows)) and (
        bounds.tokens_of([context.shapes[row] for row in rows[: count + 1]]) <= bounds.tokens
    ):
        count += 1
    _, found = accumulate_gradients(context, progress, rows[:count])
    context.optimizer.forget()
    return found
