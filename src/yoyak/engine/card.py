"""Step 0 of a run: the proof card is filled in and told, and a red line ends the run there."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from yoyak.engine.encode import Encoded
from yoyak.engine.hardware import detect, precision_for
from yoyak.engine.models import Loaded
from yoyak.engine.proof import bench_of, light_places, prove, require
from yoyak.engine.proof_switches import check_switches
from yoyak.engine.rehearsal import Stage, rehearse
from yoyak.events import Check, Proved

if TYPE_CHECKING:
    from yoyak.engine import TrainJob
    from yoyak.engine.weights import Weights


def prove_run(
    job: "TrainJob", loaded: Loaded, rows: Sequence[Encoded], described: "Weights"
) -> None:
    """Proves prompts, answers and model and rehearses the road, before the first step.

    Args:
        job: the run; its ``emit`` is told the card, red or green.
        loaded: the model with its adapters in place; nothing about it is changed.
        rows: the training rows, in the order of ``job.train.dialogues``.
        described: what the run will write about its weights.

    Raises:
        RunFailed: a line is red; the message names it and what was found.
    """
    precision = precision_for(job.recipe, detect())
    checks = prove(loaded, rows, job.train.dialogues, job.recipe, precision)
    if all(line.passed for line in checks):
        checks = (*checks, _rehearsed(job, loaded, rows, described))
    job.emit(Proved(at=time.time(), checks=checks))
    require(checks)


def prove_switches(job: "TrainJob", loaded: Loaded, rows: Sequence[Encoded]) -> None:
    """Proves the switches for speed alone, for a run that is gone on with under others.

    Raises:
        RunFailed: one changes the gradient; the message names it.
    """
    precision = precision_for(job.recipe, detect())
    require(check_switches(bench_of(loaded, rows, precision), job.recipe.train))


def _rehearsed(
    job: "TrainJob", loaded: Loaded, rows: Sequence[Encoded], described: "Weights"
) -> Check:
    places = light_places(rows)[-2:]
    stage = Stage(
        loaded=loaded,
        rows=[rows[place] for place in places],
        dialogues=[job.train.dialogues[place] for place in places],
        recipe=job.recipe,
        weights=described,
        folder=job.folder,
    )
    return rehearse(stage)
