"""The stages of a run: train → predict-dev → predict-test → score, each done once for its inputs.

A stage is done when a ``StageDone`` event holds the fingerprint that its inputs have today and its
output is, byte for byte, the one that was recorded (``yoyak.runs.stage_records``). Another decoding
redoes prediction and scoring; nothing changed does nothing.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from yoyak import engine as engines
from yoyak.config.schema import Recipe
from yoyak.engine import Engine, GenerateJob, GenerationStopped, TrainJob
from yoyak.errors import BadData, Interrupted, RunFailed
from yoyak.events import (
    Finished,
    PredictionProgress,
    RunState,
    RunStatus,
    Scored,
    StageStarted,
    Stopped,
)
from yoyak.files import atomic
from yoyak.metrics import scorecard
from yoyak.metrics.protocol import OFFICIAL
from yoyak.runs.run import Run
from yoyak.runs.stage_records import (
    StageInputs,
    discard_edited_predictions,
    is_output_recorded,
    own_predict_inputs,
    record_stage,
    score_inputs,
    train_inputs,
)
from yoyak.scheduler.retry_policy import oom_retry_level, with_smaller_batches
from yoyak.values import Corpus, Prediction, Split, SplitName

FLUSH_ROWS = 16
FLUSH_SECONDS = 1.0

StopAsked = Callable[[], bool]


class StageContext(NamedTuple):
    """One run, its data, and the question whether it shall stop."""

    run: Run
    corpus: Corpus
    stop_asked: StopAsked

    @property
    def recipe(self) -> Recipe:
        """The run's recipe, in passes as small as its earlier attempts have shown to be needed."""
        return with_smaller_batches(self.run.recipe, oom_retry_level(self.run.events()))


def pending(run: Run, corpus: Corpus) -> list[str]:
    """The stages that are still to do, in order; none where the run is done for these inputs.

    What comes after a stage that is to be done is to be done as well. Weights whose bytes are not
    as they were written are learned again from the newest whole checkpoint.
    """
    state = run.state()
    stages = (
        ("train", train_inputs(run, corpus), _trained(run, state)),
        ("predict-dev", own_predict_inputs(run, corpus.dev), _predicted(run, corpus.dev)),
        ("predict-test", own_predict_inputs(run, corpus.test), _predicted(run, corpus.test)),
        ("score", score_inputs(run, corpus), _scored(run)),
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


def is_finished(run: Run, corpus: Corpus) -> bool:
    """Whether nothing is to do and the log says so."""
    return run.state().status is RunStatus.FINISHED and not pending(run, corpus)


def is_trained(run: Run, corpus: Corpus) -> bool:
    """Whether only answers and their judging are still to do, if anything."""
    return "train" not in pending(run, corpus)


def run_stages(work: StageContext) -> None:
    """Brings one run to its end, doing only what is not done yet.

    Raises:
        Interrupted: it was asked to stop; everything is saved.
        YoyakError: what the engine or the judge said.
    """
    began = time.monotonic()
    engine = engines.load(work.run.recipe.engine)
    todo = pending(work.run, work.corpus)
    if "train" in todo:
        with _stage(work, "train", lambda: train_inputs(work.run, work.corpus)):
            _train(work, engine)
    for split in (work.corpus.dev, work.corpus.test):
        if f"predict-{split.name}" in todo:
            inputs = own_predict_inputs(work.run, split).fingerprint
            discard_edited_predictions(work.run, work.run.state(), split.name)
            with _stage(
                work, f"predict-{split.name}", partial(own_predict_inputs, work.run, split)
            ):
                _predict(work, engine, split, inputs)
    if "score" in todo:
        with _stage(work, "score", lambda: score_inputs(work.run, work.corpus)):
            _score(work)
    work.run.emit(Finished(at=time.time(), seconds=time.monotonic() - began))


@contextmanager
def _stage(work: StageContext, name: str, inputs: Callable[[], StageInputs]) -> Iterator[None]:
    began = time.monotonic()
    work.run.emit(StageStarted(at=time.time(), stage=name))
    yield
    record_stage(work.run, name, inputs(), time.monotonic() - began)


def _train(work: StageContext, engine: Engine) -> None:
    engine.train(
        TrainJob(
            recipe=work.recipe,
            train=work.corpus.train,
            dev=work.corpus.dev,
            folder=work.run.engine_folder,
            emit=work.run.emit,
            stop_asked=work.stop_asked,
        )
    )


def _predict(work: StageContext, engine: Engine, split: Split, inputs: str) -> None:
    ready = {prediction.id for prediction in work.run.begin_predictions(split.name, inputs)}
    job = GenerateJob(
        recipe=work.recipe,
        decode=work.run.recipe.decode,
        dialogues=[dialogue for dialogue in split.dialogues if dialogue.id not in ready],
        train=work.corpus.train,
        folder=work.run.engine_folder,
        emit=work.run.emit,
        stop_asked=work.stop_asked,
    )
    if job.dialogues:
        _store(work, split.name, engine.generate(job), len(ready), len(split.dialogues))
    if not _predicted(work.run, split):
        raise RunFailed("scheduler.answers-missing", run=work.run.name, split=split.name)


def _store(
    work: StageContext, split: SplitName, predictions: Iterator[Prediction], done: int, of: int
) -> None:
    """Stores predictions as they come; a stop or a kill loses none that was stored."""
    began = last = time.monotonic()
    waiting: list[Prediction] = []

    def flush() -> None:
        nonlocal done, last
        last = time.monotonic()
        work.run.add_predictions(split, waiting)
        done += len(waiting)
        waiting.clear()
        seconds = last - began
        work.run.emit(
            PredictionProgress(at=time.time(), split=split, done=done, of=of, seconds=seconds)
        )

    try:
        for prediction in predictions:
            waiting.append(prediction)
            if len(waiting) >= FLUSH_ROWS or time.monotonic() - last >= FLUSH_SECONDS:
                flush()
            if work.stop_asked():
                raise GenerationStopped
    except GenerationStopped:
        flush()
        step = work.run.state().step
        work.run.emit(Stopped(at=time.time(), step=step, reason=f"predict-{split}"))
        stage = f"predict-{split}"
        raise Interrupted("scheduler.stopped", run=work.run.name, stage=stage) from None
    if waiting:
        flush()


def _score(work: StageContext) -> None:
    card_ = scorecard.evaluate(work.run.predictions("dev"), work.corpus.dev, OFFICIAL)
    work.run.write_scorecard("dev", card_)
    work.run.emit(
        Scored(
            at=time.time(),
            split="dev",
            rouge=card_.rouge,
            interval=card_.interval,
            rows=card_.n,
            signature=card_.protocol.signature,
        )
    )


# --- whether its output is there -----------------------------------------------------------------


def _weights(run: Run) -> Path:
    return run.engine_folder / "weights"


def _trained(run: Run, state: RunState) -> bool:
    """Whether the weights are there, if the engine has any: then it says what it prepares."""
    return state.prepared is None or atomic.read_manifest(_weights(run)) is not None


def _weights_are_whole(run: Run) -> bool:
    return not _weights(run).exists() or atomic.verify_folder(_weights(run)) is not None


def _predicted(run: Run, split: Split) -> bool:
    wanted = {dialogue.id for dialogue in split.dialogues}
    return {prediction.id for prediction in run.predictions(split.name)} == wanted


def _scored(run: Run) -> bool:
    try:
        return run.scorecard("dev") is not None
    except BadData:  # torn by a disk: the predictions are judged again
        return False
