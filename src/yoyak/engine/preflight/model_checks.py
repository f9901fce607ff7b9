"""Check a model on a few training rows before the first step, and the kernels it is trained with.

The model is in evaluation mode, so that dropout hides no difference; weights, mode and random state
are restored, gradients are ``None`` afterwards.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import TrainSettings
from yoyak.engine.check_result import check_result, distance_result, error_result, first_three
from yoyak.engine.device import Precision
from yoyak.engine.inference.next_token import next_token_scores
from yoyak.engine.models.kernels import DecodeKernels, KernelOptions, KernelPatches
from yoyak.engine.models.loss import loss_sum
from yoyak.engine.models.model import (
    ModelBundle,
    text_config,
    trainable_parameters,
    unwrap_model,
)
from yoyak.engine.models.reach import linear_layers, unreached_linear_layers
from yoyak.engine.preflight.check_context import (
    CheckContext,
    distance,
    lora_b_filled,
    undisturbed,
)
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.errors import YoyakError
from yoyak.events import CheckResult


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
    """Check that embeddings and head have a row for every token; spare rows are never reached."""
    inner = unwrap_model(context.bundle.model)
    tokens = context.bundle.tokenizer.embedded_size
    sides = (inner, inner.get_decoder())  # an encoder-decoder may have two vocabularies
    rows = min(side.get_input_embeddings().weight.shape[0] for side in sides)
    head = inner.get_output_embeddings().weight.shape[0]
    passed = tokens <= rows and tokens <= head == text_config(inner).vocab_size
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
    return distance_result(
        "batch-equals-single", distance(batched, alone), context.tolerance.logits
    )


def generation_equals_training(context: CheckContext) -> CheckResult:
    """Check that generation and training agree on the logits of each answer's first token.

    The two pad on different sides, count positions differently and share no code; only training
    computes under autocast.
    """
    lengths = [len(row.answer_ids) for row in context.rows]
    starts = torch.tensor([0, *lengths[:-1]], device=context.bundle.device).cumsum(0)
    trained = context.logits(context.rows)[starts]
    with torch.no_grad():
        generated = next_token_scores(context.bundle, context.rows, 1).scores(None)
    return distance_result(
        "generation-equals-training", distance(generated, trained), context.tolerance.logits
    )


def head_equals_full(context: CheckContext) -> CheckResult:
    """Check loss and logits against the model's own forward pass with labels, a row at a time."""
    bundle, light = context.bundle, context.light
    theirs, loss = [], 0.0
    with torch.no_grad(), context.autocast():
        for row in light:
            output = bundle.model(**_with_labels(bundle, row), use_cache=False)
            first = 0 if bundle.kind == "seq2seq" else len(row.source_ids) - 1
            theirs.append(output.logits[0, first : first + len(row.answer_ids)].float())
            loss += float(output.loss) * len(row.answer_ids)
        ours = float(loss_sum(bundle.model, context.batch(light)))
    apart = max(distance(context.logits(light), torch.cat(theirs)), abs(ours - loss) / loss)
    return distance_result("head-equals-full", apart, context.tolerance.logits)


def _with_labels(bundle: ModelBundle, row: EncodedRow) -> dict[str, torch.Tensor]:
    """Return one row as transformers' own training takes it."""
    source, answer = list(row.source_ids), list(row.answer_ids)
    if bundle.kind == "seq2seq":
        shown = [bundle.tokenizer.decoder_start_id, *answer[:-1]]
        ids = {"input_ids": source, "decoder_input_ids": shown, "labels": answer}
    else:
        ids = {"input_ids": source + answer, "labels": [-100] * len(source) + answer}
    return {name: torch.tensor([value], device=bundle.device) for name, value in ids.items()}


def gradient_everywhere(context: CheckContext) -> CheckResult:
    """Check that every trainable tensor gets a finite non-zero gradient, and every layer LoRA."""
    model = context.bundle.model
    named = trainable_parameters(model)
    with lora_b_filled(model):
        context.gradient([context.light])
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
    """List frozen adapters, and linear layers in use without one, if there are adapters."""
    adapters = [(name, value) for name, value in model.named_parameters() if ".lora_" in name]
    if not adapters:
        return []
    unreached = set(unreached_linear_layers(model))
    bare = [
        name
        for name in linear_layers(model)
        if not name.endswith(".base_layer") and ".lora_" not in name and name not in unreached
    ]
    return [*bare, *(name for name, value in adapters if not value.requires_grad)]


def _has_gradient(value: torch.nn.Parameter) -> bool:
    gradient = value.grad
    return gradient is not None and bool(gradient.isfinite().all()) and bool(gradient.any())


def accumulation(context: CheckContext) -> CheckResult:
    """Check that gradient accumulation is exact: one pass, two, or one per row."""
    rows = [*context.rows, context.rows[0]][:4]
    _, whole = context.gradient([rows])
    worst = max(
        distance(context.gradient(cut)[1], whole)
        for cut in ([rows[:2], rows[2:]], [[row] for row in rows])
        if all(cut)
    )
    context.bundle.model.zero_grad(set_to_none=True)
    return distance_result("accumulation", worst, context.tolerance.gradient)


KERNELS = "kernels-equal-torch"
"""The check of fused LoRA and of Liger's kernels."""
GENERATION = "fused-generation-equals-torch"
"""The check of fused LoRA where text is generated."""
WITHOUT = {
    KERNELS: "train.kernels=torch",
    GENERATION: "train.kernels=torch",
    "compiled-equals-eager": "train.compile=false",
    "packed-equals-padded": "train.packing=off",
}
"""The setting without which each check of kernels is not needed."""


def check_kernels(context: CheckContext, settings: TrainSettings) -> Iterator[CheckResult]:
    """Check each option that the recipe sets, together with those before it that stay in use."""
    if not DecodeKernels(context.bundle).empty:
        yield fused_generation_equals_plain(context)
    wanted = KernelOptions.of(settings)
    replacing = wanted._replace(compiled=False)
    if not KernelPatches(context.bundle, replacing).empty:
        result = equals_plain(context, KERNELS, replacing)
        yield result
        if kernels_refused([result], settings):
            wanted = wanted.plain
    if wanted.compiled:
        yield equals_plain(context, "compiled-equals-eager", wanted)
    if settings.packing == "on":
        yield equals_plain(context, "packed-equals-padded", wanted._replace(packed=True))


def fused_generation_equals_plain(context: CheckContext) -> CheckResult:
    """Compare the logits that generation has for each answer's first token with PEFT's."""
    bundle = context.bundle
    with undisturbed(bundle), lora_b_filled(bundle.model), torch.no_grad():
        fused, plain = (
            next_token_scores(each, context.rows, 1).scores(None)
            for each in (bundle, bundle._replace(fuses_lora=False))
        )
    return distance_result(GENERATION, distance(fused, plain), context.tolerance.logits)


def kernels_refused(results: Iterable[CheckResult], settings: TrainSettings) -> bool:
    """Return whether fused LoRA failed its check where nobody asked for it: PEFT's is used then."""
    failed = any(result.name == KERNELS and not result.passed for result in results)
    return failed and settings.kernels == "auto"


def equals_plain(context: CheckContext, name: str, options: KernelOptions) -> CheckResult:
    """Compare loss and gradient of rows of different lengths with and without the options.

    Any error but one of yoyak's own is a failed result.
    """
    rows = [*context.rows, context.rows[0]]
    patches = KernelPatches(context.bundle, options)
    try:
        with undisturbed(context.bundle), lora_b_filled(context.bundle.model):
            plain_loss, plain = context.gradient([rows])
            with patches.active(packed=options.packed):
                loss, gradient = context.gradient([rows], packed=options.packed)
    except YoyakError:
        raise
    except Exception as error:  # noqa: BLE001 -- compilers raise many types, and each ends the run
        return error_result(name, error)
    apart = max(distance(gradient, plain), abs(loss - plain_loss) / max(abs(plain_loss), 1e-12))
    return distance_result(name, apart, context.tolerance.gradient)
