"""AdamW over the trainable parameters, and one optimizer step of a model."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import Recompute, TrainSettings
from yoyak.engine.device import autocast
from yoyak.engine.models.collate import collate
from yoyak.engine.models.kernels import KernelOptions, KernelPatches
from yoyak.engine.models.loss import loss_sum
from yoyak.engine.models.model import (
    ModelBundle,
    trainable_parameters,
    transformer_blocks,
    unwrap_model,
)
from yoyak.errors import RunFailed

if TYPE_CHECKING:
    from torch.optim import AdamW

    from yoyak.engine.tokenization.encode import EncodedRow

STATE_NAMES = ("step", "exp_avg", "exp_avg_sq")


def build_optimizer(named: Mapping[str, torch.nn.Parameter], settings: TrainSettings) -> "AdamW":
    """Build AdamW (Loshchilov 2019) with its moments allocated: memory use is known at the start.

    Weight decay applies to matrices, not to biases and norms.
    """
    matrices = [value for value in named.values() if value.ndim > 1]
    vectors = [value for value in named.values() if value.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=settings.learning_rate, fused=True
    )
    for value in named.values():
        optimizer.state[value] = {
            "step": torch.zeros((), dtype=torch.float32, device=value.device),
            "exp_avg": torch.zeros_like(value),
            "exp_avg_sq": torch.zeros_like(value),
        }
    return optimizer


def optimizer_state(
    optimizer: "AdamW", named: Mapping[str, torch.nn.Parameter]
) -> dict[str, torch.Tensor]:
    """Return the optimizer's state as named tensors: ``exp_avg/<parameter>`` and so on."""
    return {
        f"{kind}/{name}": optimizer.state[value][kind]
        for name, value in named.items()
        for kind in STATE_NAMES
    }


def set_lr(optimizer: "AdamW", lr: float) -> None:
    """Set the learning rate of every parameter group."""
    for group in optimizer.param_groups:
        group["lr"] = lr


class ModelOptimizer:
    """A model with the optimizer of its trainable parameters (``named``).

    Args:
        bundle: the model, adapters in place; parameters that require a gradient are trained.
        settings: of the optimizer.
        autocast_dtype: of matrix products; ``None`` for the dtype of their operands.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        settings: TrainSettings,
        autocast_dtype: torch.dtype | None = None,
    ) -> None:
        self.bundle = bundle
        self.named = trainable_parameters(bundle.model)
        self._settings = settings
        self._autocast_dtype = autocast_dtype
        self._optimizer = build_optimizer(self.named, settings)
        self._kernels = KernelPatches(bundle, KernelOptions.of(settings))

    def gradient(
        self,
        groups: Sequence[Sequence["EncodedRow"]],
        *,
        packed: bool = False,
    ) -> float:
        """Accumulate the gradient of a step over its micro-batches; return the loss per token.

        Each micro-batch is divided by the supervised tokens of the whole step, so that the
        gradient does not depend on how the step was split.

        Args:
            groups: the rows of each micro-batch.
            packed: concatenate the rows of a micro-batch instead of padding them.
        """
        bundle = self.bundle
        bundle.model.train()
        tokens = sum(len(row.answer_ids) for group in groups for row in group)
        total = torch.zeros((), dtype=torch.float64, device=bundle.device)
        with self._kernels.active(packed=packed):
            for group in groups:
                batch = collate(group, bundle.tokenizer, bundle.kind, bundle.device, packed=packed)
                with autocast(bundle.device, self._autocast_dtype):
                    summed = loss_sum(bundle.model, batch, self._settings.label_smoothing)
                (summed / tokens).backward()  # type: ignore[no-untyped-call]
                total += summed.detach()
        return float(total) / tokens

    def clip(self) -> float:
        """Clip the gradient to ``max_grad_norm``; return its norm before clipping."""
        norm = torch.nn.utils.clip_grad_norm_(
            self.named.values(), self._settings.max_grad_norm, foreach=True
        )
        return float(norm)

    def step(self, lr: float) -> None:
        """Make one optimizer step at learning rate ``lr`` and set gradients to ``None``."""
        set_lr(self._optimizer, lr)
        self._optimizer.step()
        self.zero_grad()

    def zero_grad(self) -> None:
        """Set gradients to ``None``."""
        self._optimizer.zero_grad(set_to_none=True)

    def set_activation_checkpointing(self, level: Recompute) -> None:
        """Recompute the activations of these blocks in the backward pass (gradient checkpointing).

        "selective" means every second block. Keeping the outputs of matrix products instead would
        save a fifth below adapters, whose own products double their number, and unpack every 4-bit
        matrix again (docs/engine.md).
        """
        if level is Recompute.NOTHING:
            return
        inner: Any = unwrap_model(self.bundle.model)
        # Non-reentrant checkpoints follow gradients into frozen layers by themselves.
        # transformers 5.17 only has the older name, which goes with version 6.
        enable = getattr(inner, "activation_checkpointing_enable", None)
        (enable or inner.gradient_checkpointing_enable)({"use_reentrant": False})
        block: Any
        for index, block in enumerate(transformer_blocks(self.bundle.model)):
            block.gradient_checkpointing = level is Recompute.EVERYTHING or index % 2 == 0

    def optimizer_state(self) -> dict[str, torch.Tensor]:
        """Return the optimizer's state, by name; the tensors are the live ones."""
        return optimizer_state(self._optimizer, self.named)

    def load(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Copy saved weights into the trainable parameters.

        Raises:
            RunFailed: a name, shape or dtype differs.
        """
        _copy(tensors, self.named)

    def load_optimizer_state(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Copy a saved optimizer state into the optimizer.

        Raises:
            RunFailed: a name, shape or dtype differs.
        """
        _copy(tensors, self.optimizer_state())


@torch.no_grad()
def _copy(source: Mapping[str, torch.Tensor], target: Mapping[str, torch.Tensor]) -> None:
    unlike = [
        name
        for name in sorted({*source, *target})
        if name not in source
        or name not in target
        or (source[name].shape, source[name].dtype) != (target[name].shape, target[name].dtype)
    ]
    if unlike:
        raise RunFailed("engine.other-tensors", count=len(unlike), first=unlike[0])
    for name, tensor in target.items():
        tensor.copy_(source[name])
