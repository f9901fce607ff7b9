"""Run the stages train, align, predict-dev, predict-test and score, and those of dev2, each once.

The stage align, metric-aware training, is there where the recipe asks for it.

A stage is done when a ``StageDone`` event holds the fingerprint that its inputs have today and its
output is, byte for byte, the one that was recorded (``yoyak.runs.stage_records``). Another decoding
redoes prediction and scoring; nothing changed does nothing.
"""

import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from yoyak import engine as engines
from yoyak.config.schema import Recipe
from yoyak.data.training_rows import held_out_split, training_split
from yoyak.engine import Emit, Engine, GenerateJob, GenerationStopped, TrainJob
from yoyak.engine.base_facts import KINDS
from yoyak.errors import BadData, Interrupted, RunFailed
from yoyak.events import (
    Finished,
    PredictionProgress,
    RunState,
    RunStatus,
    Scored,
    StageStarted,
    Stopped,
    Warned,
)
from yoyak.files import atomic
from yoyak.metrics import reward_watch, scorecard
from yoyak.metrics.protocol import OFFICIAL
from yoyak.runs.run import Run
from yoyak.runs.stage_records import (
    StageInputs,
    align_inputs,
    discard_edited_predictions,
    is_output_recorded,
    own_predict_inputs,
    record_stage,
    score_inputs,
    split_score_inputs,
    train_inputs,
)
from yoyak.scheduler.retry_policy import oom_retry_level, with_smaller_batches
from yoyak.values import Corpus, Prediction, Split, SplitName

FLUSH_ROWS = 16
FLUSH_SECONDS = 1.0

StopRequested = Callable[[], bool]


class StageContext(NamedTuple):
    """One run, its data, and a function that tells whether to stop."""

    run: Run
    corpus: Corpus
    stop_requested: StopRequested

    @property
    def recipe(self) -> Recipe:
        """The run's recipe with the micro-batch size that its earlier attempts ended at."""
        return with_smaller_batches(self.run.recipe, oom_retry_level(self.run.events()))


def pending(run: Run, corpus: Corpus) -> list[str]:
    """Return the stages still to do, in order; none where the run is done for these inputs.

    All stages after the first one to do are to do as well. Damaged weights are trained again from
    the newest whole checkpoint.
    """
    state = run.state()
    align = ("align", align_inputs(run, corpus), _trained(run.engine_folder, state))
    stages: list[tuple[str, StageInputs, bool]] = [
        ("train", train_inputs(run, corpus), _trained(run.supervised_folder, state)),
        *([align] if run.recipe.align is not None else []),
        *(
            (f"predict-{split.name}", own_predict_inputs(run, split), _predicted(run, split))
            for split in _predicted_splits(run.recipe, corpus)
        ),
    ]
    if not run.recipe.data.with_dev:
        stages.append(("score", score_inputs(run, corpus), _scored(run, "dev")))
    if corpus.dev2 is not None and _answers_dev2(run, state):
        predicted = _predicted(run, corpus.dev2)
        scored = split_score_inputs(run, corpus.dev2)
        stages += (
            ("predict-dev2", own_predict_inputs(run, corpus.dev2), predicted),
            ("score-dev2", scored, _scored(run, "dev2")),
        )
    names = [name for name, _, _ in stages]
    undone = [
        name
        for name, inputs, there in stages
        if not there
        or state.done.get(name) != inputs.fingerprint
        or not is_output_recorded(run, state, name)
    ]
    todo = names[names.index(undone[0]) :] if undone else []
    if any(name.startswith("predict") for name in todo) and not _weights_are_whole(run):
        return names
    return todo


def _predicted_splits(recipe: Recipe, corpus: Corpus) -> list[Split]:
    """Return what a run predicts: dev unless it is trained on, test, and a held-out fold."""
    held_out = held_out_split(corpus.train, recipe.data)
    own = [] if recipe.data.with_dev else [corpus.dev]
    return [*own, corpus.test, *([held_out] if held_out is not None else ())]


def generated_rows(recipe: Recipe, corpus: Corpus) -> dict[str, int]:
    """Return how many rows each stage of prediction answers, in the order of the stages."""
    splits = _predicted_splits(recipe, corpus)
    if corpus.dev2 is not None and _is_whole(recipe):
        splits.append(corpus.dev2)
    return {f"predict-{split.name}": len(split.dialogues) for split in splits}


def is_finished(run: Run, corpus: Corpus) -> bool:
    """Return whether nothing is left to do and the log says so."""
    return run.state().status is RunStatus.FINISHED and not pending(run, corpus)


def is_trained(run: Run, corpus: Corpus) -> bool:
    """Return whether at most prediction and scoring are left to do."""
    return not {"train", "align"} & {*pending(run, corpus)}


def run_stages(context: StageContext) -> None:
    """Complete one run, skipping stages that are done.

    Raises:
        Interrupted: a stop was requested; everything is saved.
        YoyakError: the engine or the scoring failed.
    """
    began = time.monotonic()
    engine = engines.load(context.run.recipe.engine)
    todo = pending(context.run, context.corpus)
    if "train" in todo:
        with _stage(context, "train", lambda: train_inputs(context.run, context.corpus)):
            _train(context, engine)
    if "align" in todo:
        with _stage(context, "align", lambda: align_inputs(context.run, context.corpus)):
            _align(context, engine)
    corpus = context.corpus
    for split in _predicted_splits(context.recipe, corpus):
        _predict_stage(context, engine, split, todo)
    _score_stage(context, "score", corpus.dev, todo)
    if corpus.dev2 is not None:
        _predict_stage(context, engine, corpus.dev2, todo)
        _score_stage(context, "score-dev2", corpus.dev2, todo)
    context.run.emit(Finished(at=time.time(), seconds=time.monotonic() - began))


def _predict_stage(
    context: StageContext, engine: Engine, split: Split, todo: Collection[str]
) -> None:
    name = f"predict-{split.name}"
    if name in todo:
        inputs = own_predict_inputs(context.run, split).fingerprint
        discard_edited_predictions(context.run, context.run.state(), split.name)
        with _stage(context, name, partial(own_predict_inputs, context.run, split)):
            _predict(context, engine, split, inputs)


def _score_stage(context: StageContext, name: str, split: Split, todo: Collection[str]) -> None:
    if name in todo:
        with _stage(context, name, partial(split_score_inputs, context.run, split)):
            _score(context, split)


@contextmanager
def _stage(context: StageContext, name: str, inputs: Callable[[], StageInputs]) -> Iterator[None]:
    began = time.monotonic()
    context.run.emit(StageStarted(at=time.time(), stage=name))
    yield
    record_stage(context.run, name, inputs(), time.monotonic() - began)


def _train(context: StageContext, engine: Engine) -> None:
    context.run.supervised_folder.mkdir(exist_ok=True)
    if context.run.recipe.align is not None:
        _take_supervised(context.run)
    engine.train(_train_job(context, context.run.emit))


def _train_job(context: StageContext, emit: Emit) -> TrainJob:
    return TrainJob(
        recipe=context.recipe.supervised,
        train=training_split(context.corpus, context.recipe.data),
        dev=context.corpus.dev,
        folder=context.run.supervised_folder,
        emit=emit,
        stop_asked=context.stop_requested,
    )


def compute_gradients(run: Run, corpus: Corpus) -> None:
    """Help rank 0 with the stage train, where that is to do; write nothing.

    What is to do stays the same until rank 0 has trained, which it does not without this process.
    """
    if is_trained_by_ranks(run.recipe) and "train" in pending(run, corpus):
        context = StageContext(run, corpus, lambda: False)
        engines.load(run.recipe.engine).train(_train_job(context, lambda _: None))


def is_trained_by_ranks(recipe: Recipe) -> bool:
    """Return whether several processes can train the recipe: an engine of ours with a model."""
    return recipe.engine in KINDS and recipe.train.epochs > 0


def _take_supervised(run: Run) -> None:
    """Copy the weights of a run of the same recipe without the stage align, if there is one.

    They are what training would end with: recipe and data are the same.
    """
    wanted = (run.recipe.supervised.learning_hash, run.identity.train_sha256)
    target = run.supervised_folder / "weights"
    for path in sorted(run.folder.parent.glob("*/identity.json")):
        other = Run(path.parent)
        known, source = other.identity, other.engine_folder / "weights"
        is_same = (known.learning_hash, known.train_sha256) == wanted
        if not is_same or known.dev_sha256 != run.identity.dev_sha256 or target.exists():
            continue
        manifest = atomic.verify_folder(source)
        if manifest is None:
            continue
        with atomic.whole_folder(target, manifest.notes) as folder:
            for record in manifest.files:
                (folder / record.name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / record.name, folder / record.name)
        fields = {"run": other.name}
        run.emit(Warned(at=time.time(), key="scheduler.supervised-taken", fields=fields))


def _align(context: StageContext, engine: Engine) -> None:
    engine.train(
        TrainJob(
            recipe=context.recipe,
            train=training_split(context.corpus, context.recipe.data),
            dev=context.corpus.dev,
            folder=context.run.engine_folder,
            emit=context.run.emit,
            stop_asked=context.stop_requested,
            supervised=context.run.supervised_folder,
        )
    )


def _predict(context: StageContext, engine: Engine, split: Split, inputs: str) -> None:
    ready = {prediction.id for prediction in context.run.begin_predictions(split.name, inputs)}
    job = GenerateJob(
        recipe=context.recipe,
        decode=context.run.recipe.decode,
        dialogues=[dialogue for dialogue in split.dialogues if dialogue.id not in ready],
        train=training_split(context.corpus, context.recipe.data),
        folder=context.run.engine_folder,
        emit=context.run.emit,
        stop_asked=context.stop_requested,
    )
    if job.dialogues:
        _store(context, split.name, engine.generate(job), len(ready), len(split.dialogues))
    if not _predicted(context.run, split):
        raise RunFailed("scheduler.answers-missing", run=context.run.name, split=split.name)


def _store(
    context: StageContext, split: SplitName, predictions: Iterator[Prediction], done: int, of: int
) -> None:
    """Store predictions in batches as they come, so a stop or kill loses at most one batch."""
    began = last = time.monotonic()
    waiting: list[Prediction] = []

    def flush() -> None:
        nonlocal done, last
        last = time.monotonic()
        context.run.add_predictions(split, waiting)
        done += len(waiting)
        waiting.clear()
        seconds = last - began
        context.run.emit(
            PredictionProgress(at=time.time(), split=split, done=done, of=of, seconds=seconds)
        )

    try:
        for prediction in predictions:
            waiting.append(prediction)
            if len(waiting) >= FLUSH_ROWS or time.monotonic() - last >= FLUSH_SECONDS:
                flush()
            if context.stop_requested():
                raise GenerationStopped
    except GenerationStopped:
        flush()
        step = context.run.state().step
        context.run.emit(Stopped(at=time.time(), step=step, reason=f"predict-{split}"))
        stage = f"predict-{split}"
        raise Interrupted("scheduler.stopped", run=context.run.name, stage=stage) from None
    if waiting:
        flush()


def _score(context: StageContext, split: Split) -> None:
    card = scorecard.evaluate(context.run.predictions(split.name), split, OFFICIAL)
    watched = context.run.state().watched
    if watched is not None and split.name == "dev":
        card = msgspec.structs.replace(card, alarms=(*card.alarms, *reward_watch.alarms(watched)))
    context.run.write_scorecard(split.name, card)
    context.run.emit(
        Scored(
            at=time.time(),
            split=split.name,
            rouge=card.rouge,
            interval=card.interval,
            rows=card.n,
            signature=card.protocol.signature,
        )
    )


# --- whether its output is there -----------------------------------------------------------------


def _trained(engine_folder: Path, state: RunState) -> bool:
    """Return whether the weights are there; an engine without weights emits no ``Prepared``."""
    return state.prepared is None or atomic.read_manifest(engine_folder / "weights") is not None


def _weights_are_whole(run: Run) -> bool:
    folders = {run.supervised_folder / "weights", run.engine_folder / "weights"}
    return all(not each.exists() or atomic.verify_folder(each) is not None for each in folders)


def _predicted(run: Run, split: Split) -> bool:
    wanted = {dialogue.id for dialogue in split.dialogues}
    return {prediction.id for prediction in run.predictions(split.name)} == wanted


def _answers_dev2(run: Run, state: RunState) -> bool:
    """Return whether a run has to do with dev2: no trial or fold, and weights not pruned."""
    has_weights = state.prepared is None or (run.engine_folder / "weights").exists()
    return _is_whole(run.recipe) and (has_weights or _scored(run, "dev2"))


def _is_whole(recipe: Recipe) -> bool:
    return recipe.evaluate.dev_half == "both" and recipe.data.fold is None


def _scored(run: Run, split: SplitName) -> bool:
    try:
        return run.scorecard(split) is not None
    except BadData:  # damaged: score the predictions again
        return False
