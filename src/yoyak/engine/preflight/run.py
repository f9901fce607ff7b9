"""Step 0 of a run: the proof card is filled in and told, and a red line ends the run there."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from yoyak.engine.device import detect, precision_for
from yoyak.engine.models.model import ModelBundle
from yoyak.engine.preflight.checks import check_context, light_places, require, run_checks
from yoyak.engine.preflight.dry_run import DryRunStage, run_dry_run
from yoyak.engine.preflight.kernel_checks import check_switches
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.events import CheckResult, PreflightPassed

if TYPE_CHECKING:
    from yoyak.engine import TrainJob
    from yoyak.engine.models.weights import SavedWeights


def run_preflight(
    job: "TrainJob", bundle: ModelBundle, rows: Sequence[EncodedRow], described: "SavedWeights"
) -> None:
    """Proves prompts, answers and model and rehearses the road, before the first step.

    Args:
        job: the run; its ``emit`` is told the card, red or green.
        bundle: the model with its adapters in place; nothing about it is changed.
        rows: the training rows, in the order of ``job.train.dialogues``.
        described: what the run will write about its weights.

    Raises:
        RunFailed: a line is red; the message names it and what was found.
    """
    precision = precision_for(job.recipe, detect())
    checks = run_checks(bundle, rows, job.train.dialogues, job.recipe, precision)
    if all(line.passed for line in checks):
        checks = (*checks, _rehearsed(job, bundle, rows, described))
    job.emit(PreflightPassed(at=time.time(), checks=checks))
    require(checks)


def check_kernels(job: "TrainJob", bundle: ModelBundle, rows: Sequence[EncodedRow]) -> None:
    """Proves the switches for speed alone, for a run that is gone on with under others.

    Raises:
        RunFailed: one changes the gradient; the message names it.
    """
    precision = precision_for(job.recipe, detect())
    require(check_switches(check_context(bundle, rows, precision), job.recipe.train))


def _rehearsed(
    job: "TrainJob", bundle: ModelBundle, rows: Sequence[EncodedRow], described: "SavedWeights"
) -> CheckResult:
    places = light_places(rows)[-2:]
    stage = DryRunStage(
        bundle=bundle,
        rows=[rows[place] for place in places],
        dialogues=[job.train.dialogues[place] for place in places],
        recipe=job.recipe,
        weights=described,
        folder=job.folder,
    )
    return run_dry_run(stage)
