"""One optimizer step of a model: gradient, clipping, AdamW."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import Optim, Recipe, Recompute, TrainSettings
from yoyak.engine.device import autocast
from yoyak.engine.models.activation_checkpointing import checkpoint_blocks
from yoyak.engine.models.collate import collate
from yoyak.engine.models.flat_parameters import flat_adapters
from yoyak.engine.models.kernels import KernelOptions, KernelPatches
from yoyak.engine.models.loss import loss_sum, rdrop_loss_sum
from yoyak.engine.models.model import ModelBundle, trainable_parameters
from yoyak.engine.models.neftune import noisy_embeddings
from yoyak.engine.training.adamw import (
    build_optimizer,
    copy_tensors,
    load_optimizer_state,
    optimizer_state,
    set_lr,
)
from yoyak.engine.training.learning_rates import lr_scales
from yoyak.engine.training.weight_average import WeightAverage

if TYPE_CHECKING:
    from yoyak.engine.tokenization.encode import EncodedRow


def model_optimizer(
    bundle: ModelBundle, recipe: Recipe, autocast_dtype: torch.dtype | None = None
) -> "ModelOptimizer":
    """Return the optimizer of a recipe, its learning rates by parameter included."""
    scales = lr_scales(bundle.model, trainable_parameters(bundle.model), recipe)
    return ModelOptimizer(bundle, recipe.train, autocast_dtype, scales)


class ModelOptimizer:
    """A model with the optimizer of its trainable parameters (``named``).

    Args:
        bundle: the model, adapters in place; parameters that require a gradient are trained.
        settings: of the optimizer.
        autocast_dtype: of matrix products; ``None`` for the dtype of their operands.
        lr_scales: learning rates by parameter, as multiples of the schedule's.

    Attributes:
        average: the moving average of the weights, if the settings ask for one.
        recompute: the blocks whose activations are recomputed.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        settings: TrainSettings,
        autocast_dtype: torch.dtype | None = None,
        lr_scales: Mapping[str, float] | None = None,
    ) -> None:
        self.bundle = bundle
        self.named = trainable_parameters(bundle.model)
        decay = settings.ema_decay
        self.average = None if decay is None else WeightAverage(self.named, decay)
        self._settings = settings
        self._parts = list(bundle.model.modules())
        self.recompute = Recompute.NOTHING
        self.autocast_dtype = autocast_dtype
        is_plain = settings.optim is Optim.ADAMW and not lr_scales
        self._flat = flat_adapters(bundle.model, self.named) if is_plain else None
        self._optimized = self.named if self._flat is None else {"adapters": self._flat.value}
        self._optimizer = build_optimizer(self._optimized, settings, lr_scales)
        self.use_kernels(KernelOptions.of(settings))

    def use_kernels(self, options: KernelOptions) -> None:
        """Compute gradients with these kernels from now on."""
        self.kernel_options = options
        self._kernels = KernelPatches(self.bundle, options)

    def gradient(self, groups: Sequence[Sequence["EncodedRow"]], *, packed: bool = False) -> float:
        """Accumulate the gradient of a step over its micro-batches; return the loss per token.

        Args:
            groups: the rows of each micro-batch.
            packed: concatenate the rows of a micro-batch instead of padding them.
        """
        return self.accumulate(len(groups), self.losses(groups, packed=packed), packed=packed)

    def losses(
        self, groups: Sequence[Sequence["EncodedRow"]], *, packed: bool
    ) -> Callable[[int], torch.Tensor]:
        """Return what computes the loss of a micro-batch from its number.

        Each is divided by the supervised tokens of the whole step, so that the gradient does not
        depend on how the step was split.
        """
        tokens = sum(len(row.answer_ids) for group in groups for row in group)
        return lambda number: self._loss_sum(groups[number], packed=packed) / tokens

    def accumulate(
        self, count: int, loss_of: Callable[[int], torch.Tensor], *, packed: bool = False
    ) -> float:
        """Accumulate the gradient of a loss over micro-batches; return the sum of the losses.

        Args:
            count: of the micro-batches.
            loss_of: computes the loss of one, from its number.
            packed: rows of a micro-batch are concatenated instead of padded.
        """
        total = torch.zeros((), dtype=torch.float64, device=self.bundle.device)
        with self.computing_gradients(packed=packed):
            for number in range(count):
                total += self.add_gradient(loss_of(number), is_first=number == 0)
        return float(total)

    @contextmanager
    def computing_gradients(self, *, packed: bool) -> Iterator[None]:
        """Set training mode and kernels inside the block, and where gradients are added."""
        if not all(part.training for part in self._parts):  # setting it takes longer than asking
            self.bundle.model.train()
        self._attach_gradients()
        with self._kernels.active(packed=packed):
            yield

    def add_gradient(self, loss: torch.Tensor, *, is_first: bool) -> torch.Tensor:
        """Add the gradient of one micro-batch to the others' (``is_first``: there are none).

        The sum is that of gradients which were each computed from zero, so that it does not matter
        which process computed one: fused LoRA adds to what there is inside of a matrix product,
        which rounds otherwise.
        """
        others = None if is_first or self._flat is None else self._flat.take_gradient()
        loss.backward()  # type: ignore[no-untyped-call]
        if others is not None and self._flat is not None:
            self._flat.add_gradient(others)
        return loss.detach()

    def pass_gradients(self) -> list[torch.Tensor | None]:
        """Return the gradients as they are summed: of all adapters as one, or of each parameter."""
        if self._flat is not None:
            return [self._flat.value.grad]
        return [value.grad for value in self.named.values()]

    def trained_values(self) -> list[torch.Tensor]:
        """Return the parameters of ``pass_gradients``, detached but the live ones."""
        return [value.detach() for value in self._optimized.values()]

    def add_pass_gradients(self, gradients: Sequence[torch.Tensor | None]) -> None:
        """Add gradients that another process computed, in the form of ``pass_gradients``."""
        if self._flat is not None:
            [gradient] = gradients
            if gradient is not None:
                self._flat.add_gradient(gradient)
            return
        for value, gradient in zip(self.named.values(), gradients, strict=True):
            if gradient is not None:
                value.grad = gradient.clone() if value.grad is None else value.grad.add_(gradient)

    def _loss_sum(self, rows: Sequence["EncodedRow"], *, packed: bool) -> torch.Tensor:
        """Return the training loss of one micro-batch, summed over its supervised tokens."""
        bundle, settings = self.bundle, self._settings
        if settings.rdrop_alpha is not None:
            rows = [*rows, *rows]
        batch = collate(rows, bundle.tokenizer, bundle.kind, bundle.device, packed=packed)
        noise = noisy_embeddings(bundle, rows, batch, settings.neftune_noise_alpha)
        with autocast(bundle.device, self.autocast_dtype), noise:
            if settings.rdrop_alpha is None:
                return loss_sum(bundle.model, batch, settings.label_smoothing)
            return rdrop_loss_sum(
                bundle.model, batch, settings.rdrop_alpha, settings.label_smoothing
            )

    def clip(self) -> float:
        """Clip the gradient to ``max_grad_norm``; return its norm before clipping."""
        self._attach_gradients()
        norm = torch.nn.utils.clip_grad_norm_(
            self._optimized.values(), self._settings.max_grad_norm, foreach=True
        )
        return float(norm)

    def step(self, lr: float) -> None:
        """Make one optimizer step at learning rate ``lr`` and set gradients to ``None``."""
        set_lr(self._optimizer, lr)
        self._attach_gradients()
        self._optimizer.step()
        if self.average is not None:
            self.average.update()
        self.zero_grad()

    def zero_grad(self) -> None:
        """Set gradients to ``None``."""
        if self._flat is None:
            self._optimizer.zero_grad(set_to_none=True)
        else:
            self._flat.zero_grad()

    def _attach_gradients(self) -> None:
        if self._flat is not None:
            self._flat.attach()

    def set_activation_checkpointing(self, level: Recompute) -> None:
        """Recompute the activations of these blocks in the backward pass from now on."""
        self.recompute = level
        checkpoint_blocks(self.bundle.model, level)

    @property
    def _average_state(self) -> dict[str, torch.Tensor]:
        return {} if self.average is None else self.average.state()

    def optimizer_state(self) -> dict[str, torch.Tensor]:
        """Return the state of the optimizer and of the moving average, by name."""
        state = optimizer_state(self._optimizer, self._optimized)
        if self._flat is not None:
            state = self._flat.split(state)
        return state | self._average_state

    def load(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Copy saved weights into the trainable parameters.

        Raises:
            RunFailed: a name, shape or dtype differs.
        """
        copy_tensors(tensors, self.named)

    def load_optimizer_state(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Copy a saved state into the optimizer and the moving average.

        Raises:
            RunFailed: a name, shape or dtype differs.
        """
        average = self._average_state
        copy_tensors({name: tensors[name] for name in average if name in tensors}, average)
        own = {name: value for name, value in tensors.items() if name not in average}
        if self._flat is None:
            load_optimizer_state(self._optimizer, self.named, own)
        else:  # all state is tensors, and these are the live ones
            copy_tensors(own, self._flat.split(optimizer_state(self._optimizer, self._optimized)))
