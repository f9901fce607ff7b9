"""Run the preflight checks of a training run; a failed one ends it before the first step."""

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from yoyak import messages
from yoyak.config.schema import Recipe
from yoyak.engine.device import Precision, detect, precision_for
from yoyak.engine.models.model import ModelBundle
from yoyak.engine.preflight.data_checks import DataCheckContext, check_data
from yoyak.engine.preflight.dry_run import DryRunContext, dry_run
from yoyak.engine.preflight.kernel_checks import check_kernels
from yoyak.engine.preflight.model_checks import CheckContext, check_model, light_indices
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.errors import RunFailed
from yoyak.events import CheckResult, PreflightPassed
from yoyak.values import Dialogue

if TYPE_CHECKING:
    from yoyak.engine import TrainJob
    from yoyak.engine.models.weights import SavedWeights


def run_preflight(
    job: "TrainJob", bundle: ModelBundle, rows: Sequence[EncodedRow], described: "SavedWeights"
) -> None:
    """Check rows and model, then make a dry run; emit the results, passed or not.

    Args:
        job: the run.
        bundle: the model with its adapters in place; it is left unchanged.
        rows: the training rows, in the order of ``job.train.dialogues``.
        described: the description that the run will write beside its weights.

    Raises:
        RunFailed: a check failed; the message names it and what was found.
    """
    precision = precision_for(job.recipe, detect())
    results = run_checks(bundle, rows, job.train.dialogues, job.recipe, precision)
    if all(result.passed for result in results):
        results = (*results, _dry_run(job, bundle, rows, described))
    job.emit(PreflightPassed(at=time.time(), checks=results))
    require(results)


def run_checks(
    bundle: ModelBundle,
    rows: Sequence[EncodedRow],
    dialogues: Sequence[Dialogue],
    recipe: Recipe,
    precision: Precision,
) -> tuple[CheckResult, ...]:
    """Run all checks but the dry run; those of kernels only if all others passed.

    Args:
        bundle: the model, adapters in place; it is left unchanged.
        rows: the training rows with answers, in the order of ``dialogues``.
        dialogues: what the rows were encoded from.
        recipe: has the prompt and training settings.
        precision: the declared dtypes.
    """
    data = DataCheckContext(bundle.tokenizer, recipe.prompt, dialogues, rows)
    model = CheckContext.of(bundle, rows, precision)
    results = (*check_data(data), *check_model(model))
    if not all(result.passed for result in results):
        return results
    return (*results, *check_kernels(model, recipe.train))


def require_kernels(job: "TrainJob", bundle: ModelBundle, rows: Sequence[EncodedRow]) -> None:
    """Run the checks of kernels alone, for a run that is resumed with other ones.

    Raises:
        RunFailed: one changes the gradient; the message names it.
    """
    precision = precision_for(job.recipe, detect())
    require(check_kernels(CheckContext.of(bundle, rows, precision), job.recipe.train))


def require(results: Iterable[CheckResult]) -> None:
    """Raise ``RunFailed`` if a check failed, with the title and the finding of each."""
    failed = [result for result in results if not result.passed]
    if failed:
        lines = "; ".join(f"{title_of(result)}: {result.found}" for result in failed)
        raise RunFailed("engine.proof-failed", count=len(failed), lines=lines)


def title_of(result: CheckResult) -> str:
    """Return what the check asserts, in the reader's language."""
    return messages.text(f"engine.proof-{result.name}")


def _dry_run(
    job: "TrainJob", bundle: ModelBundle, rows: Sequence[EncodedRow], described: "SavedWeights"
) -> CheckResult:
    two = light_indices(rows)[-2:]
    return dry_run(
        DryRunContext(
            bundle=bundle,
            rows=[rows[index] for index in two],
            dialogues=[job.train.dialogues[index] for index in two],
            recipe=job.recipe,
            weights=described,
            folder=job.folder,
        )
    )
