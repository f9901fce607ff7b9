"""Score an exported form beside the run that it was made from, on the same rows of dev."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from yoyak import engine as engines
from yoyak.config.schema import Decode
from yoyak.engine import Emit, GenerateJob
from yoyak.engine.exported import ExportedModel, FormCheck, FormScore
from yoyak.metrics.bootstrap import mean_intervals
from yoyak.metrics.scorecard import RESAMPLES, SEED, Scorecard, evaluate
from yoyak.prediction.model import trained_model
from yoyak.runs.run import Run
from yoyak.values import Dialogue, Interval, Split

if TYPE_CHECKING:
    from yoyak.engine.formats.export import ExportRequest

ROWS = 100
"""Dialogues of dev that a form answers, evenly spaced."""


def evenly_spaced(dialogues: Sequence[Dialogue], count: int) -> tuple[Dialogue, ...]:
    """Return at most ``count`` of the dialogues, from the first one on."""
    step = max(1, -(-len(dialogues) // count))
    return tuple(dialogues[::step])


def check_form(
    request: "ExportRequest",
    folder: Path,
    exported: ExportedModel,
    run: Run,
    dev: Split,
    emit: Emit,
) -> FormCheck:
    """Let the form and the run answer the rows of ``dev``, and score both.

    Args:
        request: what was exported.
        folder: where it is.
        exported: its record.
        run: where it came from.
        dev: the rows.
        emit: receives the engine's events.

    Raises:
        Unavailable: the form's runtime is not installed.
        RunFailed: it cannot load what was written.
        BadData: the rows that the run was trained on are needed and have changed.
    """
    from yoyak.engine.formats.export import answer_rows

    given = answer_rows(request, folder, exported, dev.dialogues)
    texts = {row.id: row.text for row in given.rows}
    original = _original(run, dev, exported.decode, emit)
    ours, theirs = evaluate(original, dev), evaluate(texts, dev)
    return FormCheck(
        runtime=given.runtime,
        rows=len(texts),
        decode=exported.decode,
        run_decode=run.recipe.decode,
        equal_prompts=sum(row.prompt_equal for row in given.rows),
        equal_answers=sum(original[key] == text for key, text in texts.items()),
        original=_score(ours),
        exported=_score(theirs),
        difference=_difference(ours, theirs),
        protocol=theirs.protocol.signature,
    )


def _original(run: Run, dev: Split, decode: Decode, emit: Emit) -> Mapping[str, str]:
    """Return the run's summaries under ``decode``: those on disk, where that is its own."""
    if decode == run.recipe.decode:
        known = {one.id: one.text for one in run.predictions("dev")}
        if all(dialogue.id in known for dialogue in dev.dialogues):
            return {dialogue.id: known[dialogue.id] for dialogue in dev.dialogues}
    model = trained_model(run)
    job = GenerateJob(
        recipe=msgspec.structs.replace(model.recipe, decode=decode),
        decode=decode,
        dialogues=dev.dialogues,
        train=model.train,
        folder=model.folder,
        emit=emit,
        smoke_check=False,
    )
    return {one.id: one.text for one in engines.load(model.recipe.engine).generate(job)}


def _score(card: Scorecard) -> FormScore:
    return FormScore(rouge=card.rouge, interval=card.interval)


def _difference(ours: Scorecard, theirs: Scorecard) -> Interval:
    import numpy as np

    before = {row.id: row.rouge.mean for row in ours.rows}
    differences = np.array([[row.rouge.mean - before[row.id]] for row in theirs.rows])
    (interval,) = mean_intervals(differences, seed=SEED, resamples=RESAMPLES)
    return interval
