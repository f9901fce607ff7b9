"""W&B, trackio and TensorBoard: the only modules that import these libraries.

Each is a context manager over the tracker's folder that yields a function to open a run in it.
Metrics only: no dialogue, summary or command line is sent.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from yoyak.config.schema import Recipe
from yoyak.errors import Unavailable
from yoyak.runs.redact import redact
from yoyak.runs.run import Run
from yoyak.trackers.metrics import TrackerPoint

PROJECT = "yoyak"
_STEP = "train/step"


class TrackerRun(NamedTuple):
    """A run to be opened in a tracker; ``folder`` is where the tracker may write."""

    run: Run
    recipe: Recipe
    folder: Path


LogPoints = Callable[[Iterable[TrackerPoint]], None]
OpenRun = Callable[[TrackerRun], AbstractContextManager[LogPoints]]
TrackerBackend = Callable[[Path], AbstractContextManager[OpenRun]]


def run_name(target: TrackerRun) -> str:
    """Return ``{recipe}_ep{epochs}_bs{batch}_lr{learning rate}_{date}-{time}``."""
    train = target.recipe.train
    time = "-".join(target.run.name.split("-")[:2])
    name = target.recipe.name
    return f"{name}_ep{train.epochs}_bs{train.batch_size}_lr{train.learning_rate:g}_{time}"


def _settings(recipe: Recipe) -> dict[str, str | float | None]:
    return {
        "recipe": recipe.name,
        "engine": recipe.engine,
        "base": recipe.model.base,
        "quantisation": recipe.model.quantisation,
        "epochs": recipe.train.epochs,
        "batch_size": recipe.train.batch_size,
        "learning_rate": recipe.train.learning_rate,
        "schedule": recipe.train.lr_scheduler.value,
        "seed": recipe.train.seed,
        "lora_rank": recipe.lora.r if recipe.lora else None,
    }


def _tags(recipe: Recipe) -> list[str]:
    toy = "toy" if recipe.model.scratch is not None else None
    return [tag for tag in (recipe.engine, recipe.model.quantisation, toy) if tag]


@contextmanager
def _wandb(_folder: Path) -> Iterator[OpenRun]:
    import wandb

    try:
        yield _wandb_run
    finally:
        wandb.teardown()  # before that the last block may not be on disk


@contextmanager
def _wandb_run(target: TrackerRun) -> Iterator[LogPoints]:
    """Open a W&B run: offline unless there is a key or WANDB_MODE says otherwise.

    ``wandb sync`` uploads an offline run later. W&B's own step is the point's number: online it
    drops numbers that it has already, so replaying a run adds only new points.
    """
    import wandb

    target.folder.mkdir()  # W&B writes elsewhere if the folder is missing
    asked = os.environ.get("WANDB_MODE")
    online = asked == "online" if asked else _has_wandb_key()
    try:
        run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            dir=target.folder,
            id=target.run.name,
            name=run_name(target),
            group=target.recipe.engine,
            tags=_tags(target.recipe),
            config=_settings(target.recipe),
            mode=None if asked else ("online" if online else "offline"),
            resume="allow" if online else None,
            reinit="create_new",
            save_code=False,
            settings=wandb.Settings(
                console="off",
                disable_git=True,
                x_disable_meta=True,
                x_disable_stats=True,
                silent=True,
            ),
        )
    except wandb.Error as error:
        problem = redact(str(error))
        raise Unavailable("report.mirror-refused", tracker="wandb", problem=problem) from error

    def log_points(points: Iterable[TrackerPoint]) -> None:
        for point in points:
            run.log(point.values | {_STEP: point.step, "_timestamp": point.at}, step=point.number)

    try:
        run.define_metric("*", step_metric=_STEP)
        yield log_points
    finally:
        run.finish()


def _has_wandb_key() -> bool:
    """Return whether the environment or ``wandb login`` provides an API key."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname
    try:
        return netrc(os.environ.get("NETRC")).authenticators(host or "") is not None
    except (FileNotFoundError, NetrcParseError):
        return False


@contextmanager
def _trackio(folder: Path) -> Iterator[OpenRun]:
    """Open trackio's local store, TRACKIO_DIR's or the mirror's own; nothing is uploaded.

    ``bulk_log`` is what trackio's importers call: it keeps each event's time and skips a point
    whose ``log_id`` is stored already.
    """
    os.environ.setdefault("TRACKIO_DIR", str(folder.absolute()))  # read once, at import
    from trackio.sqlite_storage import SQLiteStorage

    @contextmanager
    def open_run(target: TrackerRun) -> Iterator[LogPoints]:
        def log_points(points: Iterable[TrackerPoint]) -> None:
            logged = list(points)
            SQLiteStorage.bulk_log(
                project=PROJECT,
                run=run_name(target),
                metrics_list=[point.values for point in logged],
                steps=[point.step for point in logged],
                timestamps=[datetime.fromtimestamp(point.at, UTC).isoformat() for point in logged],
                config=_settings(target.recipe) | {"_Group": target.recipe.engine},
                log_ids=[f"{target.run.name}-{point.number}" for point in logged],
                run_id=target.run.name,
            )

        yield log_points

    yield open_run


@contextmanager
def _tensorboard(_folder: Path) -> Iterator[OpenRun]:
    from tensorboard.summary import Writer

    @contextmanager
    def open_run(target: TrackerRun) -> Iterator[LogPoints]:
        writer = Writer(str(target.folder))

        def log_points(points: Iterable[TrackerPoint]) -> None:
            for point in points:
                for name, value in point.values.items():
                    writer.add_scalar(name, value, point.step, wall_time=point.at)
            writer.flush()

        try:
            yield log_points
        finally:
            writer.close()

    yield open_run


BACKENDS: dict[str, TrackerBackend] = {
    "wandb": _wandb,
    "trackio": _trackio,
    "tensorboard": _tensorboard,
}
"""Every tracker by the name that users type."""
