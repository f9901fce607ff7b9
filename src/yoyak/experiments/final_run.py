"""Train a recipe on train and dev together, once its run on train alone has shown how long."""

import json
import math

from yoyak.config.schema import LONGEST_NAME, Recipe
from yoyak.data.training_rows import training_split
from yoyak.errors import UsageError
from yoyak.events import RunStatus
from yoyak.runs.workspace import Workspace
from yoyak.scheduler.create_runs import RunRequest
from yoyak.values import Corpus

SUFFIX = "-final"


def final_request(name: str, recipe: Recipe, workspace: Workspace, corpus: Corpus) -> RunRequest:
    """Return the run on train and dev of the recipe called ``name``.

    Nothing is left to choose a checkpoint on: it makes as many steps as the best checkpoint of the
    finished run on train alone had made, scaled by the rows, and is not evaluated.

    Raises:
        UsageError: there is no such run, or the recipe trains nothing.
    """
    run = workspace.find(recipe, corpus)
    state = None if run is None else run.state()
    if state is None or state.status is not RunStatus.FINISHED:
        raise UsageError("experiments.final-first", recipe=recipe.name)
    step = state.step if state.best is None else state.best.step
    if not step:
        raise UsageError("experiments.nothing-trained", recipe=recipe.name)
    rows = len(training_split(corpus, recipe.data).dialogues)
    steps = math.ceil(step * (rows + len(corpus.dev.dialogues)) / rows)
    own = f"{recipe.name[: LONGEST_NAME - len(SUFFIX)]}{SUFFIX}"
    settings = (
        f"name={json.dumps(own)}",
        "data.with_dev=true",
        "evaluate.every_epochs=none",
        f"train.max_steps={steps}",
    )
    return RunRequest(name, settings)
