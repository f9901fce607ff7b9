"""What the checks of a model compute with: rows, logits, gradients, and how far these may differ.

Two ways to compute the same numbers differ by rounding, and models amplify it unequally. So it is
measured how far rounding moves the numbers of *this* model in *this* arithmetic: the outputs of its
linear layers are changed at random by what one matrix product may lose. Nothing else is changed,
and there is one row, so that no bug of batches or masks can widen the tolerance.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import NamedTuple

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.engine.device import Precision, autocast
from yoyak.engine.models.collate import Batch, collate
from yoyak.engine.models.loss import loss_sum, supervised_logits
from yoyak.engine.models.model import ModelBundle, trainable_parameters, unwrap_model
from yoyak.engine.models.reach import linear_layers
from yoyak.engine.preflight.data_checks import example_indices, total_length
from yoyak.engine.tokenization.encode import EncodedRow

FLOAT32, TF32, BFLOAT16 = 2.0**-20, 2.0**-11, 2.0**-8
"""Relative error of one matrix product: float32's comes from the order of its sums, TF32 keeps ten
bits of its operands, bfloat16 seven of its result."""

MARGIN = 4.0
"""Tolerance as a multiple of the measured effect of rounding. Over 23 tiny architectures in float32
and bfloat16, what the checks compare was at most 1.1 times that effect."""

LEAST, MOST = 1e-5, 0.15
"""Attention between rows or a missing mask moves logits by 0.3 and more; a wrong scale moves
gradients by 0.5 and more."""


class Tolerance(NamedTuple):
    """The largest distance between two ways to compute the same logits, or the same gradient."""

    logits: float
    gradient: float


class CheckContext:
    """Input of the checks: the model, the rows to check it on, and its dtypes.

    ``rows`` are the shortest, the median and the longest one; ``light`` are four of the shorter
    half, for checks that keep activations or all logits and must fit beside any model.
    """

    def __init__(
        self, bundle: ModelBundle, rows: Sequence[EncodedRow], precision: Precision
    ) -> None:
        self.bundle = bundle
        self.precision = precision
        self.rows = [rows[index] for index in example_indices(rows)]
        self.light = [rows[index] for index in light_indices(rows)]

    @cached_property
    def tolerance(self) -> Tolerance:
        """Twice computed, once with the rounding of a whole matrix product added everywhere."""
        row = self.light[-1:]
        share = relative_rounding(self.precision)
        with undisturbed(self.bundle), lora_b_filled(self.bundle.model):
            logits, gradient = self.logits(row), self.gradient([row])[1]
            with rounding_added(self.bundle.model, share):
                moved = distance(self.logits(row), logits)
                turned = distance(self.gradient([row])[1], gradient)
        return Tolerance(_within_bounds(moved), _within_bounds(turned))

    def batch(self, rows: Sequence[EncodedRow], *, packed: bool = False) -> Batch:
        """Collate these rows as training does."""
        bundle = self.bundle
        return collate(rows, bundle.tokenizer, bundle.kind, bundle.device, packed=packed)

    def logits(self, rows: Sequence[EncodedRow]) -> torch.Tensor:
        """Compute the supervised logits as training does, [n, vocabulary]."""
        with torch.no_grad(), self.autocast():
            return supervised_logits(self.bundle.model, self.batch(rows))

    def gradient(
        self, groups: Sequence[Sequence[EncodedRow]], *, packed: bool = False
    ) -> tuple[float, torch.Tensor]:
        """Return a step's loss per token and its gradients, flattened, computed as training does.

        The gradients are also left in the model's parameters.
        """
        model = self.bundle.model
        model.zero_grad(set_to_none=True)
        tokens = sum(len(row.answer_ids) for group in groups for row in group)
        loss = 0.0
        for group in groups:
            with self.autocast():
                summed = loss_sum(model, self.batch(group, packed=packed)) / tokens
            torch.autograd.backward(summed)
            loss += float(summed.detach())
        gradients = (value.grad for value in trainable_parameters(model).values())
        return loss, torch.cat([each.flatten() for each in gradients if each is not None])

    def autocast(self) -> AbstractContextManager[None]:
        """Compute matrix products in training's dtype inside the block."""
        return autocast(self.bundle.device, self.precision.autocast)


def light_indices(rows: Sequence[EncodedRow]) -> list[int]:
    """Return the indices of four rows, from the shortest to just below the median."""
    ordered = sorted(range(len(rows)), key=lambda index: total_length(rows[index]))
    return [ordered[len(ordered) * eighth // 8] for eighth in range(4)]


def relative_rounding(precision: Precision) -> float:
    """Return the relative error of one matrix product in the arithmetic in force."""
    if (precision.autocast or precision.base) is torch.bfloat16:
        return BFLOAT16
    return FLOAT32 if torch.get_float32_matmul_precision() == "highest" else TF32


@contextmanager
def rounding_added(model: torch.nn.Module, share: float) -> Iterator[None]:
    """Change the outputs of linear layers and head by up to ``share`` inside the block."""
    generator = torch.Generator(unwrap_model(model).device).manual_seed(0)

    def rounded(_part: object, _given: object, output: torch.Tensor) -> torch.Tensor:
        noise = torch.empty(output.shape, device=output.device).uniform_(
            1 - share, 1 + share, generator=generator
        )
        return (output.float() * noise).to(output.dtype)

    parts = [*linear_layers(model).values(), unwrap_model(model).get_output_embeddings()]
    hooks = [part.register_forward_hook(rounded) for part in parts]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _within_bounds(effect: float) -> float:
    return min(max(MARGIN * effect, LEAST), MOST)


@contextmanager
def undisturbed(bundle: ModelBundle) -> Iterator[None]:
    """Set evaluation mode in the block; restore mode and random state, clear gradients after it."""
    training = bundle.model.training
    devices = [bundle.device] if bundle.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        bundle.model.eval()
        try:
            yield
        finally:
            bundle.model.zero_grad(set_to_none=True)
            bundle.model.train(training)


@contextmanager
def lora_b_filled(model: torch.nn.Module) -> Iterator[None]:
    """Fill LoRA's B matrices with small random numbers inside the block; restore them after it.

    They start at zero, which hides half of the gradient.
    """
    named = trainable_parameters(model)
    second = {name: value for name, value in named.items() if ".lora_B." in name}
    kept = {name: value.detach().clone() for name, value in second.items()}
    with torch.no_grad():
        for value in second.values():
            value.normal_(std=1e-2)
    try:
        yield
    finally:
        with torch.no_grad():
            for name, value in second.items():
                value.copy_(kept[name])


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return RMS(one − other) ÷ standard deviation of ``other``; infinite for NaN, other shapes."""
    if one.shape != other.shape:
        return float("inf")
    spread = (other - other.mean()).square().mean().sqrt().clamp_min(1e-12)
    share = float((one - other).square().mean().sqrt() / spread)
    return share if share == share else float("inf")  # noqa: PLR0124 -- NaN
