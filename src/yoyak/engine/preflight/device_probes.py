"""Probe the GPU before the first step: packing speed, determinism, peak memory."""

import time
from collections.abc import Mapping, Sequence
from statistics import median

import msgspec

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.engine.device import detect, precision_for
from yoyak.engine.models.packing import packing_obstacle
from yoyak.engine.preflight.check_context import CheckContext
from yoyak.engine.preflight.model_checks import equals_plain
from yoyak.engine.training.checkpoint import TrainState
from yoyak.engine.training.context import TrainContext
from yoyak.engine.training.deterministic_kernels import deterministic_kernels
from yoyak.engine.training.recovery import accumulate_gradients, micro_batch_limits

SAMPLED_STEPS = 4
ROUNDS = 3
WORTHWHILE = 0.99
"""Packing must take less than this share of padding's time; the rest is measurement noise."""
DETERMINISM_STEPS = 3
"""Optimizer steps of a short run: the last one starts from an optimizer state that is not zero."""


def run_device_probes(context: TrainContext, state: TrainState) -> TrainState:
    """Return the state with packing, determinism and token budget as this GPU allows.

    Weights, optimizer state and random numbers are restored. A run whose largest micro-batch does
    not fit finds out now and not after hours. On a CPU nothing is probed: memory is large and
    arithmetic is deterministic.

    Raises:
        RunFailed: the longest row does not fit the memory alone.
    """
    if context.optimizer.bundle.device.type == "cpu":
        return state
    if context.job.recipe.train.packing == "auto":
        state = choose_packing(context, state)
    state = check_determinism(context, state)
    with deterministic_kernels(enabled=state.deterministic):
        return probe_peak_memory(context, state)


# --- packing -------------------------------------------------------------------------------------


def choose_packing(context: TrainContext, state: TrainState) -> TrainState:
    """Return the state with packing on if its gradient is proved equal and it measures faster."""
    reason = _reason_against_packing(context)
    if reason is not None:
        context.warn("engine.packing-impossible", reason=reason)
        return state
    padded, packed = measure_packing(context, state)
    faster = packed < WORTHWHILE * padded
    context.warn(
        "engine.packing-faster" if faster else "engine.packing-slower",
        padded=f"{padded:.2f}",
        packed=f"{packed:.2f}",
        steps=SAMPLED_STEPS,
    )
    return msgspec.structs.replace(state, packed=faster)


def _reason_against_packing(context: TrainContext) -> str | None:
    bundle, recipe = context.optimizer.bundle, context.job.recipe
    precision = precision_for(recipe, detect())
    reason = packing_obstacle(bundle, precision)
    if reason is not None:
        return reason
    options = context.optimizer.kernel_options._replace(packed=True)
    checked = CheckContext(bundle, context.rows, precision)
    result = equals_plain(checked, "packed-equals-padded", options)
    return None if result.passed else result.found


def measure_packing(context: TrainContext, state: TrainState) -> tuple[float, float]:
    """Return median seconds of some steps' gradients, (padded, packed), in turns."""
    every = max(1, context.schedule.steps_per_epoch // SAMPLED_STEPS)
    steps = range(0, context.schedule.steps_per_epoch, every)[:SAMPLED_STEPS]
    sample = [context.schedule.rows(step) for step in steps]
    spent: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(1 + ROUNDS):
        for packed, seconds in spent.items():
            seconds.append(_seconds(context, msgspec.structs.replace(state, packed=packed), sample))
    # The first round warms up.
    return median(spent[False][1:]), median(spent[True][1:])


def _seconds(context: TrainContext, state: TrainState, sample: Sequence[Sequence[int]]) -> float:
    started = time.perf_counter()
    for rows in sample:
        _, state = accumulate_gradients(context, state, rows)
        context.optimizer.zero_grad()
    if context.optimizer.bundle.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


# --- determinism ---------------------------------------------------------------------------------


def check_determinism(context: TrainContext, state: TrainState) -> TrainState:
    """Return the state with ``deterministic`` on if two short runs end with the same bits.

    Kernels on GPUs may sum in an order that changes from run to run. A device whose results differ,
    or that has no deterministic form of a kernel, trains with the default kernels, after a warning.
    """
    wanted = context.job.recipe.train.deterministic
    device = context.optimizer.bundle.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    try:
        with deterministic_kernels(enabled=wanted):
            same = is_deterministic(context, state)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        if not wanted or "deterministic" not in str(error):
            raise
        # PyTorch names the operation that has no deterministic form.
        context.warn("engine.not-deterministic", device=name, problem=str(error).split(". ")[0])
        same = False
    else:
        if not same:
            context.warn("engine.not-exact", device=name)
    return msgspec.structs.replace(state, deterministic=wanted and same)


def is_deterministic(context: TrainContext, state: TrainState) -> bool:
    """Return whether two short runs from the same state end with bit-identical weights.

    Weights and optimizer state are restored, gradients are ``None`` afterwards.
    """
    optimizer = context.optimizer
    before = _copies(optimizer.named), _copies(optimizer.optimizer_state())
    ends = []
    try:
        for _ in range(2):
            _short_run(context, state)
            ends.append(_copies(optimizer.named))
            optimizer.load(before[0])
            optimizer.load_optimizer_state(before[1])
    finally:
        optimizer.zero_grad()
        optimizer.load(before[0])
        optimizer.load_optimizer_state(before[1])
    return all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def _short_run(context: TrainContext, state: TrainState) -> None:
    settings = context.job.recipe.train
    for step in range(min(DETERMINISM_STEPS, context.schedule.steps)):
        accumulate_gradients(
            context, msgspec.structs.replace(state, step=step), context.schedule.rows(step)
        )
        context.optimizer.clip()
        # The full learning rate: during warm-up almost nothing would move.
        context.optimizer.step(settings.learning_rate)


def _copies(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Copy to the CPU, so that GPU memory holds nothing twice."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}


# --- memory --------------------------------------------------------------------------------------


def probe_peak_memory(context: TrainContext, state: TrainState) -> TrainState:
    """Run the largest micro-batch of the run forward and backward; return the state that fits.

    Raises:
        RunFailed: the longest row does not fit the memory alone.
    """
    limits = micro_batch_limits(context, state)
    rows = sorted(range(len(context.rows)), key=lambda row: -sum(context.shapes[row]))
    count = 1
    while count < min(limits.rows, len(rows)) and (
        limits.tokens_of([context.shapes[row] for row in rows[: count + 1]]) <= limits.tokens
    ):
        count += 1
    _, fitting = accumulate_gradients(context, state, rows[:count])
    context.optimizer.zero_grad()
    return fitting
