"""Summarise a pasted dialogue with every finished system of a workspace, each timed."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from yoyak import engine as engines
from yoyak import messages
from yoyak.config.schema import Recipe
from yoyak.data.clean import clean
from yoyak.data.corpus import parse_turns, read_corpus
from yoyak.data.speakers import names_speakers, tag_speakers
from yoyak.data.training_rows import training_split
from yoyak.engine import GenerateJob
from yoyak.errors import BadData, Interrupted, YoyakError
from yoyak.events import RunStatus
from yoyak.prediction.resident_model import QueueFull, ResidentModel
from yoyak.report.render.html import environment
from yoyak.runs.run import Run
from yoyak.runs.workspace import Workspace
from yoyak.values import Dialogue, Prediction, Value

MOST_CHARACTERS = 20_000
"""Upper limit of a pasted dialogue: ten times the longest dialogue of the contest."""

PASTED = "pasted"


class PlaygroundAnswer(Value, frozen=True, kw_only=True):
    """One system's summary of the pasted dialogue; ``seconds`` includes loading its weights."""

    system: str
    toy: bool
    text: str | None
    """``None`` if the system gave no answer."""
    tokens: int | None
    seconds: float
    problem: str | None = None
    """Why there is no answer; ``None`` if there is one."""


def dialogue_of(pasted: str) -> Dialogue:
    """Return the pasted text, read like a row of test.csv; names of speakers become tags.

    Raises:
        BadData: the text has no utterance, or is longer than ``MOST_CHARACTERS``.
    """
    if len(pasted) > MOST_CHARACTERS:
        raise BadData("report.try-too-long", found=len(pasted), most=MOST_CHARACTERS)
    tagged = tag_speakers(pasted).text if names_speakers([pasted]) else pasted
    turns = parse_turns(clean(tagged).text)
    if not any(turn.text.strip() for turn in turns):
        raise BadData("report.try-empty")
    return Dialogue(id=PASTED, turns=turns)


def try_all(workspace: Workspace, pasted: str) -> Iterator[PlaygroundAnswer]:
    """Yield an answer of each finished run, newest run of each recipe, oldest first.

    A system that cannot answer gives the reason in ``problem``; the others still answer.

    Raises:
        BadData: the text is not a dialogue, or there is no finished run.
        Interrupted: a run is in progress; its memory must not be shared.
    """
    dialogue = dialogue_of(pasted)
    runs = workspace.runs()
    working = next((run for run in runs if run.holder() is not None), None)
    if working is not None:
        raise Interrupted("report.try-busy", run=working.name)
    newest = {run.identity.recipe: run for run in runs if run.state().status is RunStatus.FINISHED}
    if not newest:
        raise BadData("report.try-nothing")
    for run in newest.values():
        recipe = run.recipe
        yield _timed(recipe, partial(_predict, run, recipe, dialogue))


def ask_models(models: Sequence[ResidentModel], pasted: str) -> Iterator[PlaygroundAnswer]:
    """Yield the answer of each resident model, in their order.

    Raises:
        BadData: the text is not a dialogue.
    """
    dialogue = dialogue_of(pasted)
    for resident in models:
        yield _timed(resident.model.recipe, partial(_ask, resident, dialogue))


def _ask(resident: ResidentModel, dialogue: Dialogue) -> Prediction:
    try:
        return resident.submit(dialogue).result.result().prediction
    except QueueFull as error:
        raise Interrupted("serving.full") from error


def _timed(recipe: Recipe, predict: Callable[[], Prediction]) -> PlaygroundAnswer:
    began = time.monotonic()
    prediction, problem = None, None
    try:
        prediction = predict()
    except YoyakError as error:
        problem = str(error)
    return PlaygroundAnswer(
        system=recipe.name,
        toy=recipe.model.scratch is not None,
        text=None if prediction is None else prediction.text,
        tokens=None if prediction is None else prediction.tokens,
        seconds=time.monotonic() - began,
        problem=problem,
    )


def _predict(run: Run, recipe: Recipe, dialogue: Dialogue) -> Prediction:
    job = GenerateJob(
        recipe=recipe,
        decode=recipe.decode,
        dialogues=[dialogue],
        train=training_split(read_corpus(Path(run.identity.data_folder)), recipe.data),
        folder=run.engine_folder,
        emit=lambda _: None,  # not part of the run: its log must not change
    )
    (prediction,) = engines.load(recipe.engine).generate(job)
    return prediction


def render(pasted: str, answers: Sequence[PlaygroundAnswer], problem: str) -> str:
    """Return the page with the form and, below it, the summaries of ``pasted``."""
    template = environment(__package__).get_template("try.html.jinja")
    language = messages.language()
    return template.render(language=language, pasted=pasted, answers=answers, problem=problem)
