"""Run the preflight checks of a training run; a failed one ends it before the first step."""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from yoyak.config.schema import Recipe
from yoyak.engine.device import detect, precision_for
from yoyak.engine.models.model import ModelBundle
from yoyak.engine.preflight.check_context import CheckContext, light_indices
from yoyak.engine.preflight.data_checks import DataCheckContext, check_data
from yoyak.engine.preflight.dry_run import DryRunContext, dry_run
from yoyak.engine.preflight.model_checks import (
    WITHOUT,
    check_kernels,
    check_model,
    kernels_refused,
)
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.errors import RunFailed
from yoyak.events import (
    CheckResult,
    MessageList,
    MessageRecord,
    PreflightCheck,
    PreflightPassed,
    Warned,
)
from yoyak.values import Dialogue

if TYPE_CHECKING:
    from yoyak.engine import TrainJob
    from yoyak.engine.models.weights import SavedWeights


def run_preflight(
    job: "TrainJob", bundle: ModelBundle, rows: Sequence[EncodedRow], described: "SavedWeights"
) -> bool:
    """Check rows and model, then make a dry run; emit each result, passed or not, and all of them.

    Return whether fused LoRA is refused: nobody asked for it and its gradient is another.

    Args:
        job: the run.
        bundle: the model with its adapters in place; it is left unchanged.
        rows: the training rows, in the order of ``job.train.dialogues``.
        described: the description that the run will write beside its weights.

    Raises:
        RunFailed: a check failed; the message names it and what was found.
    """
    context = CheckContext(bundle, rows, precision_for(job.recipe, detect()))
    results: list[CheckResult] = []

    def note(result: CheckResult) -> None:
        results.append(result)
        job.emit(PreflightCheck(at=time.time(), check=result))

    for result in run_checks(context, rows, job.train.dialogues, job.recipe):
        note(result)
    refused = _warn_if_refused(job, results)
    if all(result.passed for result in _required(results, job)):
        note(_dry_run(_with_plain_kernels(job) if refused else job, context, rows, described))
    job.emit(PreflightPassed(at=time.time(), checks=tuple(results)))
    require(_required(results, job))
    return refused


def _required(results: Iterable[CheckResult], job: "TrainJob") -> list[CheckResult]:
    """Return the results that decide; not of fused LoRA where PEFT's layers can be used instead."""
    return [each for each in results if not kernels_refused([each], job.recipe.train)]


def _warn_if_refused(job: "TrainJob", results: Iterable[CheckResult]) -> bool:
    refused = [each for each in results if kernels_refused([each], job.recipe.train)]
    for result in refused:
        fields = {"found": result.found}
        job.emit(Warned(at=time.time(), key="engine.kernels-refused", fields=fields))
    return bool(refused)


def _with_plain_kernels(job: "TrainJob") -> "TrainJob":
    train = msgspec.structs.replace(job.recipe.train, kernels="torch")
    return job._replace(recipe=msgspec.structs.replace(job.recipe, train=train))


def run_checks(
    context: CheckContext,
    rows: Sequence[EncodedRow],
    dialogues: Sequence[Dialogue],
    recipe: Recipe,
) -> Iterator[CheckResult]:
    """Run all checks but the dry run; those of kernels only if all others passed.

    Args:
        context: the model, adapters in place; it is left unchanged.
        rows: the training rows with answers, in the order of ``dialogues``.
        dialogues: what the rows were encoded from.
        recipe: has the prompt and training settings.
    """
    data = DataCheckContext(context.bundle.tokenizer, recipe.prompt, dialogues, rows)
    passed = True
    for checks in (check_data(data), check_model(context)):
        for result in checks:
            passed = passed and result.passed
            yield result
    if passed:
        yield from check_kernels(context, recipe.train)


def require_kernels(job: "TrainJob", bundle: ModelBundle, rows: Sequence[EncodedRow]) -> bool:
    """Run the checks of kernels alone, for a run that is resumed with other ones.

    Return whether fused LoRA is refused, as ``run_preflight`` does.

    Raises:
        RunFailed: one changes the gradient; the message names it.
    """
    precision = precision_for(job.recipe, detect())
    results = list(check_kernels(CheckContext(bundle, rows, precision), job.recipe.train))
    require(_required(results, job))
    return _warn_if_refused(job, results)


def require(results: Iterable[CheckResult]) -> None:
    """Raise ``RunFailed`` if a check failed, with the title and the finding of each.

    Where a setting avoids what was checked, it is named.
    """
    failed = [result for result in results if not result.passed]
    if failed:
        lines = MessageList(
            MessageRecord(
                key="engine.check-line",
                fields={
                    "title": MessageRecord(key=f"engine.proof-{result.name}"),
                    "found": MessageRecord(key=result.key, fields={**result.fields}),
                },
            )
            for result in failed
        )
        avoid = [WITHOUT[result.name] for result in failed if result.name in WITHOUT]
        if avoid:
            settings = " ".join(f"--set {each}" for each in avoid)
            raise RunFailed(
                "engine.kernels-failed", count=len(failed), lines=lines, settings=settings
            )
        raise RunFailed("engine.proof-failed", count=len(failed), lines=lines)


def _dry_run(
    job: "TrainJob",
    context: CheckContext,
    rows: Sequence[EncodedRow],
    described: "SavedWeights",
) -> CheckResult:
    two = light_indices(rows)[-2:]
    return dry_run(
        DryRunContext(
            bundle=context.bundle,
            rows=[rows[index] for index in two],
            dialogues=[job.train.dialogues[index] for index in two],
            recipe=job.recipe,
            weights=described,
            folder=job.folder,
            tolerance=context.tolerance.logits,
        )
    )
