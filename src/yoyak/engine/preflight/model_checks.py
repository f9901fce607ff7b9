"""What the proof card says about a model: measured on a few real rows before the first step.

The model is put in evaluation mode, so that no dropout hides a difference, and is given back with
weights, gradients, mode and random state as they were.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.engine.check_line import check, close, listed
from yoyak.engine.device import Precision, computing
from yoyak.engine.inference.greedy_and_sampling import next_token_scores
from yoyak.engine.models.collate import Batch, collate
from yoyak.engine.models.loss import loss_sum, supervised_logits
from yoyak.engine.models.model import ModelBundle, trainable_parameters, without_wrapper
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.events import CheckResult

TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.15}
"""Largest root mean square of a difference, as a share of the values' own spread.

A leak between rows or a missing mask moves logits by 0.3 and more, a wrong scale moves gradients
by 0.5 and more; what lies below is what bfloat16's eight bits may do.
"""


class CheckContext(NamedTuple):
    """The model under test, the rows it is tested on, and its number formats.

    ``rows`` are the shortest, the median and the longest one; ``light`` are four of the shorter
    half, for checks that keep activations or whole logits and must fit beside any model.
    """

    bundle: ModelBundle
    rows: Sequence[EncodedRow]
    light: Sequence[EncodedRow]
    precision: Precision

    @property
    def tolerance(self) -> float:
        """How far two ways to the same number may be apart."""
        return TOLERANCE[self.precision.autocast or self.precision.base]

    def batch(self, rows: Sequence[EncodedRow], *, packed: bool = False) -> Batch:
        """The training batch of these rows."""
        bundle = self.bundle
        return collate(rows, bundle.tokenizer, bundle.kind, bundle.device, packed=packed)

    def logits(self, rows: Sequence[EncodedRow]) -> torch.Tensor:
        """Supervised logits as training computes them, [n, vocabulary]."""
        with torch.no_grad(), self.computing():
            return supervised_logits(self.bundle.model, self.batch(rows))

    def computing(self) -> Any:
        """The number formats of training."""
        return computing(self.bundle.device, self.precision.autocast)


def check_model(bench: CheckContext) -> Iterator[CheckResult]:
    """Every check that a model can be put to; weights that look wrong are not computed with."""
    yield supervised_places(bench)
    weights = (vocabulary(bench), dtypes(bench))
    yield from weights
    if not all(line.passed for line in weights):
        return
    with undisturbed(bench.bundle):
        yield batch_equals_single(bench)
        yield generation_equals_training(bench)
        yield head_equals_full(bench)
        yield gradient_everywhere(bench)
        yield accumulation(bench)


@contextmanager
def undisturbed(bundle: ModelBundle) -> Iterator[None]:
    """Evaluation mode inside; afterwards mode and random state are as before, gradients none."""
    training = bundle.model.training
    devices = [bundle.device] if bundle.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        bundle.model.eval()
        try:
            yield
        finally:
            bundle.model.zero_grad(set_to_none=True)
            bundle.model.train(training)


def supervised_places(bench: CheckContext) -> CheckResult:
    """At each supervised place stands the id before its target: the mask is not off by one."""
    tokenizer = bench.bundle.tokenizer
    wrong = 0
    for rows in ([row] for row in bench.rows):
        batch = bench.batch(rows)
        shown = batch.input_ids if batch.decoder_input_ids is None else batch.decoder_input_ids
        before = shown.flatten()[batch.label_positions].tolist()
        first = (
            tokenizer.decoder_start_id
            if batch.decoder_input_ids is not None
            else rows[0].source_ids[-1]
        )
        targets = batch.targets.tolist()
        wrong += before != [first, *targets[:-1]] or targets != list(rows[0].answer_ids)
    together = bench.batch(bench.rows)
    alone = [token for row in bench.rows for token in row.answer_ids]
    wrong += together.targets.tolist() != alone or len(together.label_positions) != len(alone)
    return check(
        "supervised-places", not wrong, "engine.found-places", places=len(alone), wrong=wrong
    )


def vocabulary(bench: CheckContext) -> CheckResult:
    """Embedding and head have the base's rows: one a token, or padded to a multiple of 64."""
    inner = without_wrapper(bench.bundle.model)
    tokens = bench.bundle.tokenizer.vocab_size
    rows = inner.get_input_embeddings().weight.shape[0]
    head = inner.get_output_embeddings().weight.shape[0]
    as_built = rows == tokens or (rows > tokens and rows % 64 == 0)
    passed = as_built and head == rows == inner.config.vocab_size
    sizes = {"tokens": tokens, "rows": rows, "head": head}
    return check("vocabulary", passed, "engine.found-vocabulary", **sizes)


def dtypes(bench: CheckContext) -> CheckResult:
    """What learns is float32; frozen matrices have the declared dtype or are packed in 4 bits."""
    trained: Counter[str] = Counter()
    frozen: Counter[str] = Counter()
    wrong = []
    for name, value in bench.bundle.model.named_parameters():
        kind = _dtype_of(value)
        (trained if value.requires_grad else frozen)[kind] += 1
        if not _is_declared(value, kind, bench.precision):
            wrong.append(f"{name} {kind}")
    wrong += [name for name, part in _four_bit(bench.bundle) if part.support_avx512bf16_for_cpu]
    census = {"trained": _counted(trained), "frozen": _counted(frozen)}
    return check("dtypes", not wrong, "engine.found-dtypes", **census, wrong=listed(wrong))


def _counted(kinds: Counter[str]) -> str:
    return ", ".join(f"{kind} × {count}" for kind, count in sorted(kinds.items())) or "–"


def _four_bit(bundle: ModelBundle) -> list[tuple[str, Any]]:
    # Only bitsandbytes' 4-bit layers have this switch, under which a forward pass in evaluation
    # mode repacks their weights and ruins later gradients and merges.
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


def batch_equals_single(bench: CheckContext) -> CheckResult:
    """Rows say in a batch what they say alone: no row sees another, or another's padding."""
    together = bench.logits(bench.rows)
    alone = torch.cat([bench.logits([row]) for row in bench.rows])
    return close("batch-equals-single", distance(together, alone), bench.tolerance)


def generation_equals_training(bench: CheckContext) -> CheckResult:
    """The first id of each answer is as likely in a generation batch as in a training batch.

    The two pad on different sides, count positions in different ways and share no code; only
    training computes under autocast.
    """
    lengths = [len(row.answer_ids) for row in bench.rows]
    starts = torch.tensor([0, *lengths[:-1]], device=bench.bundle.device).cumsum(0)
    trained = bench.logits(bench.rows)[starts]
    with torch.no_grad():
        generated = next_token_scores(bench.bundle, bench.rows).scores(None)
    return close("generation-equals-training", distance(generated, trained), bench.tolerance)


def head_equals_full(bench: CheckContext) -> CheckResult:
    """Logits of supervised places alone are those of the whole forward pass at these places."""
    batch = bench.batch(bench.light)
    inputs: dict[str, Any] = {"input_ids": batch.input_ids, "use_cache": False}
    if batch.decoder_input_ids is not None:
        inputs |= {
            "attention_mask": batch.attention_mask,
            "decoder_input_ids": batch.decoder_input_ids,
        }
    with torch.no_grad(), bench.computing():
        full = bench.bundle.model(**inputs).logits.float().flatten(0, 1)[batch.label_positions]
    return close("head-equals-full", distance(bench.logits(bench.light), full), bench.tolerance)


def gradient_everywhere(bench: CheckContext) -> CheckResult:
    """Every trained tensor gets a finite gradient that is not zero; no linear layer is left out.

    A LoRA adapter's second matrix starts at zero, which keeps the first one's gradient at zero;
    for this check it holds small random numbers and gets its zeros back.
    """
    model = bench.bundle.model
    named = trainable_parameters(model)
    with second_matrices_filled(named):
        _gradient(bench, [bench.light])
    silent = [name for name, value in named.items() if not _has_gradient(value)]
    model.zero_grad(set_to_none=True)
    silent += _without_adapter(model)
    return check(
        "gradient-everywhere",
        bool(named) and not silent,
        "engine.found-gradient",
        tensors=len(named),
        silent=listed(silent),
    )


def _without_adapter(model: torch.nn.Module) -> list[str]:
    """Frozen adapters, and linear layers below the head without one, if there are any adapters."""
    adapters = [(name, value) for name, value in model.named_parameters() if ".lora_" in name]
    if not adapters:
        return []
    head = without_wrapper(model).get_output_embeddings()
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
def second_matrices_filled(named: dict[str, torch.nn.Parameter]) -> Iterator[None]:
    """Small random numbers in every adapter's second matrix inside the block."""
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


def accumulation(bench: CheckContext) -> CheckResult:
    """The gradient of a step is the same in one, two or as many passes as there are rows."""
    rows = [*bench.rows, bench.rows[0]][:4]
    whole = _gradient(bench, [rows])
    worst = max(
        distance(
            _gradient(bench, [rows[cut : cut + size] for cut in range(0, len(rows), size)]), whole
        )
        for size in (2, 1)
    )
    bench.bundle.model.zero_grad(set_to_none=True)
    return close("accumulation", worst, bench.tolerance)


def _gradient(bench: CheckContext, groups: Sequence[Sequence[EncodedRow]]) -> torch.Tensor:
    return gradient_of(bench, groups)[1]


def gradient_of(
    bench: CheckContext, groups: Sequence[Sequence[EncodedRow]], *, packed: bool = False
) -> tuple[float, torch.Tensor]:
    """Loss per token and all gradients of a step in one line, computed as training does."""
    model = bench.bundle.model
    model.zero_grad(set_to_none=True)
    tokens = sum(len(row.answer_ids) for group in groups for row in group)
    loss = 0.0
    for group in groups:
        with bench.computing():
            summed = loss_sum(model, bench.batch(group, packed=packed)) / tokens
        torch.autograd.backward(summed)
        loss += float(summed.detach())
    gradients = (value.grad for value in trainable_parameters(model).values())
    return loss, torch.cat([each.flatten() for each in gradients if each is not None])


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    """Root mean square of the difference ÷ that of ``other`` round its mean; infinite if unlike."""
    if one.shape != other.shape:
        return float("inf")
    spread = (other - other.mean()).square().mean().sqrt().clamp_min(1e-12)
    share = float((one - other).square().mean().sqrt() / spread)
    return share if share == share else float("inf")  # noqa: PLR0124 -- NaN is as far as can be
