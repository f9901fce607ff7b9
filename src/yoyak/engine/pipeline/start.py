"""The state in which training starts: from the newest checkpoint, or from device probes."""

import msgspec

from yoyak.config.schema import TrainSettings
from yoyak.engine.preflight.device_probes import run_device_probes
from yoyak.engine.preflight.run import require_kernels
from yoyak.engine.training.checkpoint import TrainState, changes
from yoyak.engine.training.context import TrainContext

DEFAULT_BUDGET_TOKENS = 4_096
"""Padded tokens of a forward pass where the recipe sets no limit."""


def load_or_start(context: TrainContext) -> TrainState:
    """Return the state of the newest whole checkpoint, or else that of a run without one.

    Raises:
        RunFailed: as ``load_checkpoint``; or the longest row does not fit the device.
    """
    return load_checkpoint(context) or start_state(context)


def load_checkpoint(context: TrainContext) -> TrainState | None:
    """Load weights and optimizer state of the newest whole checkpoint; ``None`` without one.

    Raises:
        RunFailed: the checkpoint is of another recipe, other data or another base.
    """
    state = context.checkpoints.newest()
    for name in context.checkpoints.torn:
        context.warn("engine.torn-checkpoint", name=name)
    if state is None:
        return None
    state = under_new_settings(context, state)
    if state.kernels_refused:
        context.optimizer.use_kernels(context.optimizer.kernel_options.plain)
    context.restore(state.step)
    context.optimizer.set_activation_checkpointing(state.recompute)
    return state


def start_state(context: TrainContext, *, kernels_refused: bool = False) -> TrainState:
    """Return the state of step 0, after the device probes.

    Args:
        context: of the run.
        kernels_refused: preflight refused fused LoRA; the run is trained without it.
    """
    settings = context.job.recipe.train
    if kernels_refused:
        context.optimizer.use_kernels(context.optimizer.kernel_options.plain)
    recompute = settings.recomputes[0]
    context.optimizer.set_activation_checkpointing(recompute)
    start = TrainState(
        budget_tokens=micro_batch_budget(settings),
        recompute=recompute,
        packed=settings.packing == "on",
        kernels_refused=kernels_refused,
    )
    return run_device_probes(context, start)


def micro_batch_budget(settings: TrainSettings) -> int:
    """Return the padded tokens of a forward pass before any out-of-memory error."""
    return settings.micro_batch_tokens or DEFAULT_BUDGET_TOKENS


def under_new_settings(context: TrainContext, state: TrainState) -> TrainState:
    """Adapt a checkpoint's state to a recipe that computes the same steps in another way.

    A smaller token budget counts unless out-of-memory errors led to a still smaller one; a larger
    one was asked for and counts as it is.

    Raises:
        RunFailed: kernels that the recipe now asks for change the gradient.
    """
    before, now = context.checkpoints.saved_recipe, context.job.recipe
    changed = [text for key, text in changes(before, now).items() if key.startswith("train.")]
    if not changed:
        return state
    context.warn("engine.computed-otherwise", step=state.step, changes="; ".join(changed))
    refused = require_kernels(context.job, context.optimizer.bundle, context.rows)
    budget, old = micro_batch_budget(now.train), micro_batch_budget(before.train)
    if budget < old:
        budget = min(budget, state.budget_tokens)
    elif budget == old:
        budget = state.budget_tokens
    kept = state.recompute in now.train.recomputes
    return msgspec.structs.replace(
        state,
        budget_tokens=budget,
        recompute=state.recompute if kept else now.train.recomputes[0],
        deterministic=state.deterministic and now.train.deterministic,
        kernels_refused=refused or (state.kernels_refused and now.train.kernels == "auto"),
        packed={"on": True, "off": False, "auto": state.packed}[now.train.packing],
    )
