"""The trained run that summarises, and the hashes that its summaries are bound to."""

from pathlib import Path
from typing import NamedTuple

from yoyak.config.schema import Recipe
from yoyak.data.corpus import read_corpus
from yoyak.data.training_rows import training_split
from yoyak.errors import BadData, InputMissing
from yoyak.events import RunStatus
from yoyak.runs.run import Run
from yoyak.runs.stage_records import predict_inputs, weights_fingerprint
from yoyak.runs.workspace import Workspace
from yoyak.values import Split


class TrainedModel(NamedTuple):
    """A run as it predicts.

    ``train`` has the rows that Lead-n, few-shot examples and the length cap are computed from; no
    rows where the recipe needs none and the data folder is gone. ``parts`` are the hashes of
    weights, recipe, decoding and training rows.
    """

    name: str
    recipe: Recipe
    folder: Path
    train: Split
    parts: dict[str, str]

    def require_unchanged(self) -> None:
        """Refuse to go on with weights that another process has replaced.

        Raises:
            BadData: the run's weights are not those of the start.
        """
        if _parts(self.folder, self.recipe, self.train) != self.parts:
            raise BadData("prediction.weights-changed", run=self.name)


def trained_model(run: Run) -> TrainedModel:
    """Return the run with its recipe's decoding.

    Raises:
        BadData: the training rows are not those that the run was created with.
        InputMissing: they are needed and not there.
    """
    recipe, train = run.recipe, _train_split(run)
    return TrainedModel(
        name=run.name,
        recipe=recipe,
        folder=run.engine_folder,
        train=train,
        parts=_parts(run.engine_folder, recipe, train),
    )


def only_finished_run(workspace: Workspace) -> Run:
    """Return the workspace's one finished run.

    Raises:
        InputMissing: there is none, or more than one; the message lists them.
    """
    finished = [run for run in workspace.runs() if run.state().status is RunStatus.FINISHED]
    if len(finished) == 1:
        return finished[0]
    if not finished:
        raise InputMissing("prediction.no-run", workspace=workspace.folder)
    # The newest first: a list ends after ten entries.
    names = ", ".join(run.name for run in finished[:-11:-1])
    raise InputMissing("prediction.which-run", count=len(finished), runs=names)


def _parts(folder: Path, recipe: Recipe, train: Split) -> dict[str, str]:
    return predict_inputs(weights_fingerprint(folder), recipe, recipe.decode, train).parts


def _train_split(run: Run) -> Split:
    sha256 = run.identity.train_sha256
    try:
        corpus = read_corpus(Path(run.identity.data_folder))
    except InputMissing:
        if _needs_train(run.recipe):
            raise
        return Split(name="train", dialogues=(), fingerprint=sha256)
    if corpus.train.fingerprint != sha256:
        raise BadData("prediction.data-changed", run=run.name, folder=run.identity.data_folder)
    return training_split(corpus, run.recipe.data)


def _needs_train(recipe: Recipe) -> bool:
    has_model = recipe.model.base is not None or recipe.model.scratch is not None
    capped = recipe.decode.length_cap_quantile is not None
    return not has_model or bool(recipe.prompt.examples) or capped
