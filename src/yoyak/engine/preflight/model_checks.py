"""Check a model on a few training rows before the first step.

The model is in evaluation mode, so that dropout hides no difference; weights, mode and random state
are restored, gradients are ``None`` afterwards.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.engine.check_result import check_result, distance_result, first_three
from yoyak.engine.device import Precision, autocast
from yoyak.engine.inference.decode_loop import next_token_scores
from yoyak.engine.models.collate import Batch, collate
from yoyak.engine.models.loss import loss_sum, supervised_logits
from yoyak.engine.models.model import ModelBundle, trainable_parameters, unwrap_model
from yoyak.engine.preflight.data_checks import example_indices, total_length
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.events import CheckResult

TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.15}
"""Largest root mean square of a difference, relative to the values' standard deviation.

Attention between rows or a missing mask moves logits by 0.3 and more, a wrong scale moves gradients
by 0.5 and more; rounding to bfloat16's eight bits stays below.
"""


class CheckContext(NamedTuple):
    """Input of the checks: the model, the rows to check it on, and its dtypes.

    ``rows`` are the shortest, the median and the longest one; ``light`` are four of the shorter
    half, for checks that keep activations or all logits and must fit beside any model.
    """

    bundle: ModelBundle
    rows: Sequence[EncodedRow]
    light: Sequence[EncodedRow]
    precision: Precision

    @classmethod
    def of(
        cls, bundle: ModelBundle, rows: Sequence[EncodedRow], precision: Precision
    ) -> "CheckContext":
        """Choose ``rows`` and ``light`` from the training rows."""
        return cls(
            bundle,
            [rows[index] for index in example_indices(rows)],
            [rows[index] for index in light_indices(rows)],
            precision,
        )

    @property
    def tolerance(self) -> float:
        """The largest distance between two ways to compute the same numbers."""
        return TOLERANCE[self.precision.autocast or self.precision.base]

    def batch(self, rows: Sequence[EncodedRow], *, packed: bool = False) -> Batch:
        """Collate these rows as training does."""
        bundle = self.bundle
        return collate(rows, bundle.tokenizer, bundle.kind, bundle.device, packed=packed)

    def logits(self, rows: Sequence[EncodedRow]) -> torch.Tensor:
        """Compute the supervised logits as training does, [n, vocabulary]."""
        with torch.no_grad(), self.autocast():
            return supervised_logits(self.bundle.model, self.batch(rows))

    def autocast(self) -> AbstractContextManager[None]:
        """Compute matrix products in training's dtype inside the block."""
        return autocast(self.bundle.device, self.precision.autocast)


def light_indices(rows: Sequence[EncodedRow]) -> list[int]:
    """Return the indices of four rows, from the shortest to just below the median."""
    ordered = sorted(range(len(rows)), key=lambda index: total_length(rows[index]))
    return [ordered[len(ordered) * eighth // 8] for eighth in range(4)]


def check_model(context: CheckContext) -> Iterator[CheckResult]:
    """Run every check of this module; if weights look wrong, none that computes with them."""
    yield supervised_places(context)
    weights = (vocabulary(context), dtypes(context))
    yield from weights
    if not all(line.passed for line in weights):
        return
    with undisturbed(context.bundle):
        yield batch_equals_single(context)
        yield generation_equals_training(context)
        yield head_equals_full(context)
        yield gradient_everywhere(context)
        yield accumulation(context)


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


def supervised_places(context: CheckContext) -> CheckResult:
    """Check that the id before each target is at its label position: no shift by one."""
    tokenizer = context.bundle.tokenizer
    wrong = 0
    for rows in ([row] for row in context.rows):
        batch = context.batch(rows)
        shown = batch.input_ids if batch.decoder_input_ids is None else batch.decoder_input_ids
        before = shown.flatten()[batch.label_positions].tolist()
        first = (
            tokenizer.decoder_start_id
            if batch.decoder_input_ids is not None
            else rows[0].source_ids[-1]
        )
        targets = batch.targets.tolist()
        wrong += before != [first, *targets[:-1]] or targets != list(rows[0].answer_ids)
    batched = context.batch(context.rows)
    alone = [token for row in context.rows for token in row.answer_ids]
    wrong += batched.targets.tolist() != alone or len(batched.label_positions) != len(alone)
    return check_result(
        "supervised-places", not wrong, "engine.found-places", places=len(alone), wrong=wrong
    )


def vocabulary(context: CheckContext) -> CheckResult:
    """Check that embedding and head have a row per token, or are padded to a multiple of 64."""
    inner = unwrap_model(context.bundle.model)
    tokens = context.bundle.tokenizer.vocab_size
    rows = inner.get_input_embeddings().weight.shape[0]
    head = inner.get_output_embeddings().weight.shape[0]
    as_built = rows == tokens or (rows > tokens and rows % 64 == 0)
    passed = as_built and head == rows == inner.config.vocab_size
    sizes = {"tokens": tokens, "rows": rows, "head": head}
    return check_result("vocabulary", passed, "engine.found-vocabulary", **sizes)


def dtypes(context: CheckContext) -> CheckResult:
    """Check that trainable tensors are float32, frozen ones the declared dtype or NF4."""
    trained: Counter[str] = Counter()
    frozen: Counter[str] = Counter()
    wrong = []
    for name, value in context.bundle.model.named_parameters():
        kind = _dtype_of(value)
        (trained if value.requires_grad else frozen)[kind] += 1
        if not _is_declared(value, kind, context.precision):
            wrong.append(f"{name} {kind}")
    wrong += [name for name, part in _four_bit(context.bundle) if part.support_avx512bf16_for_cpu]
    census = {"trained": _counted(trained), "frozen": _counted(frozen)}
    return check_result(
        "dtypes", not wrong, "engine.found-dtypes", **census, wrong=first_three(wrong)
    )


def _counted(kinds: Counter[str]) -> str:
    return ", ".join(f"{kind} × {count}" for kind, count in sorted(kinds.items())) or "–"


def _four_bit(bundle: ModelBundle) -> list[tuple[str, Any]]:
    # Only bitsandbytes' 4-bit layers have this flag. While it is set, a forward pass in evaluation
    # mode repacks their weights, and later gradients and merges are wrong.
    return [
        (name, part)
        for name, part in bundle.model.named_modules()
        if hasattr(part, "support_avx512bf16_for_cpu")
    ]


def _dtype_of(value: torch.nn.Parameter) -> str:
    state = getattr(value, "quant_state", None)
    if state is None:
        return str(value.dtype).removeprefix("torch.")
    return f"{state.quant_type}/{str(state.dtype).removeprefix('torch.')}"


def _is_declared(value: torch.nn.Parameter, kind: str, precision: Precision) -> bool:
    base = str(precision.base).removeprefix("torch.")
    if value.requires_grad:
        return kind == "float32"
    norm = value.ndim == 1 and kind == "float32"
    return norm or kind in {base, f"nf4/{base}"}


def batch_equals_single(context: CheckContext) -> CheckResult:
    """Check that rows have the same logits in a batch and alone: no attention between rows."""
    batched = context.logits(context.rows)
    alone = torch.cat([context.logits([row]) for row in context.rows])
    return distance_result("batch-equals-single", distance(batched, alone), context.tolerance)


def generation_equals_training(context: CheckContext) -> CheckResult:
    """Check that generation and training agree on the logits of each answer's first token.

    The two pad on different sides, count positions differently and share no code; only training
    computes under autocast.
    """
    lengths = [len(row.answer_ids) for row in context.rows]
    starts = torch.tensor([0, *lengths[:-1]], device=context.bundle.device).cumsum(0)
    trained = context.logits(context.rows)[starts]
    with torch.no_grad():
        generated = next_token_scores(context.bundle, context.rows).scores(None)
    return distance_result(
        "generation-equals-training", distance(generated, trained), context.tolerance
    )


def head_equals_full(context: CheckContext) -> CheckResult:
    """Check that the head applied to label positions alone gives the full pass's logits there."""
    batch = context.batch(context.light)
    inputs: dict[str, Any] = {"input_ids": batch.input_ids, "use_cache": False}
    if batch.decoder_input_ids is not None:
        inputs |= {
            "attention_mask": batch.attention_mask,
            "decoder_input_ids": batch.decoder_input_ids,
        }
    with torch.no_grad(), context.autocast():
        full = context.bundle.model(**inputs).logits.float().flatten(0, 1)[batch.label_positions]
    return distance_result(
        "head-equals-full", distance(context.logits(context.light), full), context.tolerance
    )


def gradient_everywhere(context: CheckContext) -> CheckResult:
    """Check that every trainable tensor gets a finite non-zero gradient, and every layer LoRA.

    LoRA's B matrices start at zero, which keeps the gradients of A at zero; during this check they
    hold small random numbers.
    """
    model = context.bundle.model
    named = trainable_parameters(model)
    with lora_b_filled(named):
        _gradient(context, [context.light])
    silent = [name for name, value in named.items() if not _has_gradient(value)]
    model.zero_grad(set_to_none=True)
    silent += _without_lora(model)
    return check_result(
        "gradient-everywhere",
        bool(named) and not silent,
        "engine.found-gradient",
        tensors=len(named),
        silent=first_three(silent),
    )


def _without_lora(model: torch.nn.Module) -> list[str]:
    """List frozen adapters, and linear layers without one (except the head), if there are any."""
    adapters = [(name, value) for name, value in model.named_parameters() if ".lora_" in name]
    if not adapters:
        return []
    head = unwrap_model(model).get_output_embeddings()
    bare = [
        name
        for name, part in model.named_modules()
        if isinstance(part, torch.nn.Linear) and part is not head
        if not name.endswith(".base_layer") and ".lora_" not in name
    ]
    return [*bare, *(name for name, value in adapters if not value.requires_grad)]


def _has_gradient(value: torch.nn.Parameter) -> bool:
    gradient = value.grad
    return gradient is not None and bool(gradient.isfinite().all()) and bool(gradient.any())


@contextmanager
def lora_b_filled(named: dict[str, torch.nn.Parameter]) -> Iterator[None]:
    """Fill LoRA's B matrices with small random numbers inside the block; restore them after it."""
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


def accumulation(context: CheckContext) -> CheckResult:
    """Check that gradient accumulation is exact: one pass, two, or one per row."""
    rows = [*context.rows, context.rows[0]][:4]
    whole = _gradient(context, [rows])
    worst = max(
        distance(
            _gradient(context, [rows[cut : cut + size] for cut in range(0, len(rows), size)]), whole
        )
        for size in (2, 1)
    )
    context.bundle.model.zero_grad(set_to_none=True)
    return distance_result("accumulation", worst, context.tolerance)


def _gradient(context: CheckContext, groups: Sequence[Sequence[EncodedRow]]) -> torch.Tensor:
    return gradient_of(context, groups)[1]


def gradient_of(
    context: CheckContext, groups: Sequence[Sequence[EncodedRow]], *, packed: bool = False
) -> tuple[float, torch.Tensor]:
    """Return a step's loss per token and its gradients, flattened, computed as training does."""
    model = context.bundle.model
    model.zero_grad(set_to_none=True)
    tokens = sum(len(row.answer_ids) for group in groups for row in group)
    loss = 0.0
    for group in groups:
        with context.autocast():
            summed = loss_sum(model, context.batch(group, packed=packed)) / tokens
        torch.autograd.backward(summed)
        loss += float(summed.detach())
    gradients = (value.grad for value in trainable_parameters(model).values())
    return loss, torch.cat([each.flatten() for each in gradients if each is not None])


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return RMS(one − other) ÷ standard deviation of ``other``; infinite for NaN, other shapes."""
    if one.shape != other.shape:
        return float("inf")
    spread = (other - other.mean()).square().mean().sqrt().clamp_min(1e-12)
    share = float((one - other).square().mean().sqrt() / spread)
    return share if share == share else float("inf")  # noqa: PLR0124 -- NaN
