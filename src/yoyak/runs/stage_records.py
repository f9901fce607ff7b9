"""What the outputs of a run were made from, and whether that still holds.

A stage is done when ``StageDone`` records the fingerprint of its inputs; beside it stand the hash
of each input and the SHA-256 of the file that the stage wrote. ``stale_outputs`` compares these
with the run and the data as they are now, so that what is submitted is what was scored. Other
decodings of a run's weights are recorded as stages named ``predict-dev@VARIANT``.
"""

import time
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, get_args

from yoyak.config.schema import Decode, Recipe
from yoyak.errors import BadData
from yoyak.events import RunState, StageDone
from yoyak.files import atomic
from yoyak.files.format import RUN
from yoyak.metrics.protocol import OFFICIAL, protocol_of
from yoyak.runs.run import Run
from yoyak.values import Corpus, Split, SplitName

_NO_WEIGHTS = "none"
_OUTPUTS = {"dev": "predict-dev", "test": "predict-test", "score": "score"}


_SPLIT_OF: dict[str, SplitName] = {
    **{f"predict-{split}": split for split in get_args(SplitName)},
    "score": "dev",
    "score-dev2": "dev2",
}
"""The split whose predictions or scores a stage writes; training writes neither."""


class StageInputs(NamedTuple):
    """Hashes of what a stage depends on: all together, and each input by name."""

    fingerprint: str
    parts: dict[str, str]


def train_inputs(run: Run, corpus: Corpus) -> StageInputs:
    """Hash what supervised training depends on: the recipe, train and dev."""
    parts = {"recipe": run.recipe.supervised.learning_hash}
    parts |= {split.name: split.fingerprint for split in (corpus.train, corpus.dev)}
    return StageInputs(atomic.sha256_of(*parts.values()), parts)


def align_inputs(run: Run, corpus: Corpus) -> StageInputs:
    """Hash what metric-aware training depends on: the recipe, supervised weights, train and dev."""
    supervised = weights_fingerprint(run.supervised_folder) or _NO_WEIGHTS
    parts = {"recipe": run.recipe.learning_hash, "weights": supervised}
    parts |= {split.name: split.fingerprint for split in (corpus.train, corpus.dev)}
    return StageInputs(atomic.sha256_of(*parts.values()), parts)


def predict_inputs(
    weights: str | None, recipe: Recipe, decode: Decode, split: Split
) -> StageInputs:
    """Hash what predictions depend on; ``weights`` is the fingerprint of their folder, if any."""
    parts = {
        "weights": weights or _NO_WEIGHTS,
        "recipe": atomic.sha256_of(recipe.learning_hash, recipe.generate),
        "decode": atomic.sha256_of(decode),
        "data": split.fingerprint,
    }
    fingerprint = atomic.sha256_of(
        weights, recipe.learning_hash, recipe.generate, decode, split.fingerprint
    )
    return StageInputs(fingerprint, parts)


def own_predict_inputs(run: Run, split: Split) -> StageInputs:
    """Hash what the run's predictions in its own decoding depend on."""
    recipe = run.recipe
    return predict_inputs(weights_fingerprint(run.engine_folder), recipe, recipe.decode, split)


def score_inputs(run: Run, corpus: Corpus, variant: str | None = None) -> StageInputs:
    """Hash what the dev score depends on: the predictions' bytes and the protocol."""
    return split_score_inputs(run, corpus.dev, variant)


def split_score_inputs(run: Run, split: Split, variant: str | None = None) -> StageInputs:
    """Do as ``score_inputs`` for any split with references."""
    predictions = file_sha256(run.predictions_path(split.name, variant))
    references = {dialogue.id: dialogue.references for dialogue in split.dialogues}
    protocol = protocol_of(OFFICIAL, references)
    parts = {"predictions": predictions or "none", "protocol": atomic.sha256_of(protocol)}
    return StageInputs(atomic.sha256_of(predictions, protocol), parts)


def weights_fingerprint(engine_folder: Path) -> str | None:
    """Return the fingerprint of the weights as written; ``None`` where there are none."""
    manifest = atomic.read_manifest(engine_folder / "weights")
    return None if manifest is None else manifest.fingerprint


def file_sha256(path: Path) -> str | None:
    """Return the SHA-256 of a file; ``None`` where there is none."""
    return atomic.sha256_file(path) if path.is_file() else None


# --- outputs -------------------------------------------------------------------------------------


def output_path(run: Run, stage: str, variant: str | None = None) -> Path | None:
    """Return the file that a stage writes; ``None`` for training, whose manifest has its hashes."""
    if stage.startswith("predict-"):
        return run.predictions_path(_SPLIT_OF[stage], variant)
    return run.scorecard_path(_SPLIT_OF[stage], variant) if stage in _SPLIT_OF else None


def record_stage(
    run: Run, stage: str, inputs: StageInputs, seconds: float, variant: str | None = None
) -> None:
    """Record that a stage is done for ``inputs``, with the hash of the file that it wrote."""
    path = output_path(run, stage, variant)
    run.emit(
        StageDone(
            at=time.time(),
            stage=_name(stage, variant),
            fingerprint=inputs.fingerprint,
            seconds=seconds,
            inputs=inputs.parts,
            output_sha256=None if path is None else file_sha256(path),
        )
    )


def is_output_recorded(run: Run, state: RunState, stage: str, variant: str | None = None) -> bool:
    """Return whether the stage's output is, byte for byte, the recorded one."""
    path, record = output_path(run, stage, variant), state.records.get(_name(stage, variant))
    if path is None:
        return True
    return record is not None and record.output_sha256 == file_sha256(path) is not None


def edited_outputs(run: Run, state: RunState, variant: str | None = None) -> dict[str, Path]:
    """Return the files of one decoding that are not, byte for byte, what their stage wrote.

    Keys are ``dev``, ``test`` and ``score``. A file of another run in its place, or one that is
    gone, is not either; outputs without a recorded hash (of an older format) are left out.
    """
    found = {}
    for output, stage in _OUTPUTS.items():
        path, record = output_path(run, stage, variant), state.records.get(_name(stage, variant))
        written = record.output_sha256 if record is not None else None
        if path is not None and written is not None and file_sha256(path) != written:
            found[output] = path
    return found


def require_unedited(run: Run) -> None:
    """Refuse a run whose dev predictions or score are not what its stages wrote.

    Raises:
        BadData: the message names the run and the first such file.
    """
    refuse_edited(run.name, edited_outputs(run, run.state()))


def refuse_edited(system: str, edited: Mapping[str, Path]) -> None:
    """Refuse a system of which ``dev`` or ``score`` is among the ``edited`` outputs.

    Raises:
        BadData: the message names the system and the file.
    """
    for output in ("dev", "score"):
        if output in edited:
            raise BadData("runs.edited-output", run=system, path=edited[output])


def discard_edited_predictions(
    run: Run, state: RunState, split: str, variant: str | None = None
) -> None:
    """Set predictions aside that changed after they were recorded: they are generated again."""
    stage = f"predict-{split}"
    path, record = output_path(run, stage, variant), state.records.get(_name(stage, variant))
    if path is None or record is None or record.output_sha256 is None or not path.exists():
        return
    if record.output_sha256 != file_sha256(path):
        atomic.set_aside(path, "edited")


def _name(stage: str, variant: str | None) -> str:
    return stage if variant is None else f"{stage}@{variant}"


# --- whether they still hold ---------------------------------------------------------------------


class StaleReason(StrEnum):
    """Why an output is not what it says it is; ``submission.because-REASON`` is the sentence."""

    UNRECORDED = "unrecorded"
    EDITED = "edited"
    DATA = "data"
    DECODE = "decode"
    WEIGHTS = "weights"
    RECIPE = "recipe"
    PREDICTIONS = "predictions"
    PROTOCOL = "protocol"


class StaleOutput(NamedTuple):
    """One output that no longer fits its inputs; ``output`` is ``dev``, ``test`` or ``score``."""

    output: str
    reason: StaleReason


def stale_outputs(
    run: Run, state: RunState, corpus: Corpus, variant: str | None = None
) -> tuple[StaleOutput, ...]:
    """Return every output of one decoding that was edited or made from other inputs.

    Predictions in the run's own decoding are compared with the run's recipe and weights (where the
    weights are still there). A variant states its own decoding and weights: those of dev and test
    must agree. Runs of an older format recorded no hashes and are not checked
    (``is_verifiable``).
    """
    if not is_verifiable(run):
        return ()
    records = {
        output: record
        for output, stage in _OUTPUTS.items()
        if (record := state.records.get(_name(stage, variant))) and record.output_sha256
    }
    missing = (name for name in _OUTPUTS if name not in records)
    return (
        *(StaleOutput(name, StaleReason.UNRECORDED) for name in missing),
        *(StaleOutput(name, StaleReason.EDITED) for name in edited_outputs(run, state, variant)),
        *_other_inputs(records, _expected_inputs(run, corpus, variant, records.get("dev"))),
    )


def is_verifiable(run: Run) -> bool:
    """Return whether the run's format records the hashes that ``stale_outputs`` compares."""
    return run.identity.format >= RUN.number


def _expected_inputs(
    run: Run, corpus: Corpus, variant: str | None, dev: StageDone | None
) -> dict[str, dict[str, str]]:
    """Return the inputs that each output would have if it were made now."""
    expected = {
        split.name: own_predict_inputs(run, split).parts for split in (corpus.dev, corpus.test)
    }
    recorded = {} if dev is None else dev.inputs
    for parts in expected.values():
        if variant is not None:
            parts |= {name: recorded.get(name, parts[name]) for name in ("decode", "weights")}
        elif parts["weights"] == _NO_WEIGHTS:  # pruned, or left on another machine
            parts["weights"] = recorded.get("weights", _NO_WEIGHTS)
    return expected | {"score": score_inputs(run, corpus, variant).parts}


def _other_inputs(
    records: dict[str, StageDone], expected: dict[str, dict[str, str]]
) -> Iterator[StaleOutput]:
    for output, record in records.items():
        for name, wanted in expected[output].items():
            if record.inputs.get(name) != wanted:
                yield StaleOutput(output, StaleReason(name))


def provenance(state: RunState, variant: str | None = None) -> dict[str, str]:
    """Return the hashes that bind a decoding's answers: weights, recipe, decoding and files."""
    dev, test, score = (state.records.get(_name(stage, variant)) for stage in _OUTPUTS.values())
    found = {name: dev.inputs.get(name) for name in ("weights", "recipe", "decode")} if dev else {}
    found |= {
        f"{name}_sha256": record.output_sha256
        for name, record in zip(_OUTPUTS, (dev, test, score), strict=True)
        if record is not None
    }
    return {name: value for name, value in found.items() if value is not None}
