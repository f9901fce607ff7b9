"""The part of training that changes: weights, gradients and moments, and nothing else."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import Recompute, TrainSettings
from yoyak.engine.device import computing
from yoyak.engine.models.collate import collate
from yoyak.engine.models.kernels import KernelOptions, KernelPatches
from yoyak.engine.models.loss import loss_sum
from yoyak.engine.models.model import ModelBundle, blocks, trainable_parameters, without_wrapper
from yoyak.engine.training import optimizer
from yoyak.errors import RunFailed

if TYPE_CHECKING:
    from yoyak.engine.tokenization.encode import EncodedRow


class ModelOptimizer:
    """A model that learns.

    Args:
        bundle: the model, adapters in place; what requires a gradient learns.
        settings: of the optimiser.
        autocast: dtype of matrix products, if not that of their operands.
    """

    def __init__(
        self, bundle: ModelBundle, settings: TrainSettings, autocast: torch.dtype | None = None
    ) -> None:
        self.bundle = bundle
        self.named = trainable_parameters(bundle.model)
        self._settings = settings
        self._autocast = autocast
        self._optimizer = optimizer.build_optimizer(self.named, settings)
        self._switchboard = KernelPatches(bundle, KernelOptions.of(settings))

    def gradient(
        self,
        groups: Sequence[Sequence["EncodedRow"]],
        *,
        packed: bool = False,
    ) -> float:
        """Adds up the gradient of a step over its forward passes; gives the loss per token.

        Each pass is divided by the supervised tokens of the whole step, so that the gradient does
        not depend on how the step was cut.

        Args:
            groups: the rows of each pass.
            packed: the rows of a pass stand behind one another instead of being padded.
        """
        bundle = self.bundle
        bundle.model.train()
        tokens = sum(len(row.answer_ids) for group in groups for row in group)
        total = torch.zeros((), dtype=torch.float64, device=bundle.device)
        with self._switchboard.on(packed=packed):
            for group in groups:
                batch = collate(group, bundle.tokenizer, bundle.kind, bundle.device, packed=packed)
                with computing(bundle.device, self._autocast):
                    summed = loss_sum(bundle.model, batch, self._settings.label_smoothing)
                (summed / tokens).backward()  # type: ignore[no-untyped-call]
                total += summed.detach()
        return float(total) / tokens

    def clip(self) -> float:
        """Scales the gradient down to the recipe's norm; gives the norm it had."""
        norm = torch.nn.utils.clip_grad_norm_(
            self.named.values(), self._settings.max_grad_norm, foreach=True
        )
        return float(norm)

    def apply(self, rate: float) -> None:
        """One step of the optimiser at ``rate``; the gradient is used up."""
        optimizer.set_lr(self._optimizer, rate)
        self._optimizer.step()
        self.forget()

    def forget(self) -> None:
        """Drops the gradient."""
        self._optimizer.zero_grad(set_to_none=True)

    def recompute(self, level: Recompute) -> None:
        """Trades time for memory: activations of these blocks are computed again on the way back.

        Every second whole block is what "selective" means here. Keeping the outputs of matrix
        products instead would save a fifth below adapters, whose own products double their number,
        and unpack every 4-bit matrix again (docs/engine.md).
        """
        if level is Recompute.NOTHING:
            return
        inner: Any = without_wrapper(self.bundle.model)
        # Non-reentrant checkpoints follow gradients into frozen layers by themselves.
        # transformers 5.17 only knows the older name, which goes with version 6.
        enable = getattr(inner, "activation_checkpointing_enable", None)
        (enable or inner.gradient_checkpointing_enable)({"use_reentrant": False})
        block: Any
        for place, block in enumerate(blocks(self.bundle.model)):
            block.gradient_checkpointing = level is Recompute.EVERYTHING or place % 2 == 0

    def moments(self) -> dict[str, torch.Tensor]:
        """The optimiser's state, by name."""
        return optimizer.optimizer_state(self._optimizer, self.named)

    def load(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Takes over weights as they were saved."""
        _copy(tensors, self.named)

    def load_moments(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Takes over an optimiser's state as it was saved."""
        _copy(tensors, self.moments())


@torch.no_grad()
def _copy(source: Mapping[str, torch.Tensor], target: Mapping[str, torch.Tensor]) -> None:
    """Bit by bit; a name, shape or dtype that does not match means another model."""
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
