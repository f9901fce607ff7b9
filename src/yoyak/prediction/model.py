"""The run or exported model that summarises, and the hashes that its summaries are bound to."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from yoyak import engine as engines
from yoyak.config.schema import Recipe
from yoyak.data.corpus import read_corpus
from yoyak.data.training_rows import training_split
from yoyak.engine import GenerateJob
from yoyak.engine.exported import read_exported
from yoyak.errors import BadData, BadRecipe, InputMissing, Unavailable
from yoyak.events import RunStatus
from yoyak.files import atomic
from yoyak.runs.run import Run, read_recipe
from yoyak.runs.stage_records import predict_inputs, weights_fingerprint
from yoyak.runs.workspace import Workspace
from yoyak.values import Prediction, Split

CARD = "README.md"
"""The model card, which may be edited: no answer depends on it."""


Generate = Callable[[GenerateJob], Iterator[Prediction]]


class BatchModel(Protocol):
    """What ``yoyak predict`` summarises with.

    ``parts`` are the hashes of all that a summary depends on but its dialogue.
    """

    @property
    def name(self) -> str:
        """The run's name."""

    @property
    def recipe(self) -> Recipe:
        """The recipe, with the decoding that is used."""

    @property
    def folder(self) -> Path:
        """The folder of the weights."""

    @property
    def train(self) -> Split:
        """The training rows that are needed."""

    @property
    def parts(self) -> dict[str, str]:
        """The hashes by what they are of."""

    def require_unchanged(self) -> None:
        """Refuse to go on with other weights than those of the start."""

    def generate(self) -> Generate:
        """Load the engine; return its function, which loads the weights and keeps them."""


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

    def generate(self) -> Generate:
        """Load the recipe's engine."""
        return engines.load(self.recipe.engine).generate


class ExportedFolder(NamedTuple):
    """A model that ``yoyak export`` wrote, answering in the runtime of its form.

    Prompt, decoding, stop tokens and clean-up are those of the folder's record; nothing of the run
    or of its data is needed.
    """

    name: str
    recipe: Recipe
    folder: Path
    train: Split
    parts: dict[str, str]
    files: tuple[tuple[str, int, int], ...]
    """Name, size and time of change in ns of each file when the hashes were taken."""

    def require_unchanged(self) -> None:
        """Refuse to go on with a folder whose files have been replaced.

        Raises:
            BadData: a file is another one.
        """
        if _file_stamps(self.folder) != self.files:
            raise BadData("prediction.weights-changed", run=self.folder)

    def generate(self) -> Generate:
        """Load the runtimes of exports.

        Raises:
            Unavailable: the ``[train]`` extra is not installed.
        """
        try:
            from yoyak.engine.formats.predictor import ExportedPredictor
        except ModuleNotFoundError as error:
            engine = self.recipe.engine
            raise Unavailable("engine.no-library", engine=engine, library=error.name) from error
        return ExportedPredictor().generate


def exported_model(folder: Path) -> ExportedFolder:
    """Return the model of an exported folder, each of whose files is hashed.

    Raises:
        InputMissing: it has no record of how its weights are used.
        BadData: the record is broken, or of a newer version.
        BadRecipe: its prompts hold examples, which are rows of the training data.
    """
    record, recipe = read_exported(folder), read_recipe(folder)
    if record.prompt.examples:
        raise BadRecipe("prediction.export-with-examples", folder=folder)
    files = _file_stamps(folder)
    contents = [(name, atomic.sha256_file(folder / name)) for name, *_ in files if name != CARD]
    recipe = msgspec.structs.replace(recipe, prompt=record.prompt, decode=record.decode)
    return ExportedFolder(
        name=record.run,
        recipe=recipe,
        folder=folder,
        train=Split(name="train", dialogues=(), fingerprint=""),
        parts={"form": record.form, "files": atomic.sha256_of(contents)},
        files=files,
    )


def _file_stamps(folder: Path) -> tuple[tuple[str, int, int], ...]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return tuple(
        (str(path.relative_to(folder)), path.stat().st_size, path.stat().st_mtime_ns)
        for path in paths
    )


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
