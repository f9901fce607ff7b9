"""Runs replayed into the trackers that people like, from outside and after the fact.

A run never waits for a tracker: the mirror reads ``events.jsonl`` and writes whole pieces,
``report/mirrors/<tracker>/<run>/<from>-<to>``, each holding those events once. A piece appears by
one rename, so that a mirror that was killed leaves nothing and the next one goes on where the
last whole piece ended. Metrics only: no dialogue, summary or command line leaves the run.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from yoyak.errors import Unavailable, UsageError
from yoyak.events import AnyEvent, Evaluated, Sampled, Scored, Stepped
from yoyak.recipe import Recipe
from yoyak.store.run import Run
from yoyak.store.workspace import Workspace

_STEP = "train/step"
_PIECE = re.compile(r"(\d{8})-(\d{8})")


class Point(NamedTuple):
    """What is known at one step, by the tracker's names; scores ×100."""

    step: int
    at: float
    values: dict[str, float]


class Steps(NamedTuple):
    """The highest steps that a log has reached."""

    trained: int
    evaluated: int


_NONE = Steps(0, 0)


class Replay(NamedTuple):
    """Some of a run's events, on their way into a tracker."""

    run: Run
    recipe: Recipe
    points: Sequence[Point]
    folder: Path


def mirror(workspace: Workspace, tracker: str) -> dict[str, int]:
    """Writes what ``tracker`` does not have yet; returns how many points each run gained.

    Raises:
        UsageError: there is no such tracker.
        Unavailable: its library is not installed.
    """
    if tracker not in MIRRORS:
        raise UsageError("report.no-mirror", tracker=tracker, known=", ".join(MIRRORS))
    folder = workspace.report_folder / "mirrors" / tracker
    return {run.name: _mirror_run(run, folder / run.name, tracker) for run in workspace.runs()}


def _mirror_run(run: Run, folder: Path, tracker: str) -> int:
    events = run.events()
    done = mirrored(folder)
    found = list(points(events[done:], _steps_of(events[:done])))
    if not found:
        return 0
    piece = folder / f"{done:08d}-{len(events):08d}"
    temporary = folder / f".{piece.name}.tmp-{os.getpid()}"
    for left in folder.glob(".*.tmp-*"):
        shutil.rmtree(left)
    temporary.mkdir(parents=True)
    try:
        MIRRORS[tracker](Replay(run, run.recipe, found, temporary))
    except ModuleNotFoundError as error:
        shutil.rmtree(temporary)
        raise Unavailable("report.mirror-missing", tracker=tracker) from error
    temporary.rename(piece)
    return len(found)


def mirrored(folder: Path) -> int:
    """How many of a run's events whole pieces hold."""
    names = (_PIECE.fullmatch(path.name) for path in folder.glob("*-*"))
    return max((int(name[2]) for name in names if name), default=0)


def points(events: Iterable[AnyEvent], last: Steps = _NONE) -> Iterator[Point]:
    """The numbers of a log; what has no step of its own belongs to the last one before it.

    A step that had to be done again is as it was the first time (resume is exact), so it counts
    once; so does an evaluation.
    """
    trained, evaluated = last
    for event in events:
        if isinstance(event, Stepped):
            if event.step <= trained:
                continue
            trained = event.step
        elif isinstance(event, Evaluated):
            if event.step <= evaluated:
                continue
            evaluated = event.step
        values = _values(event)
        if values:
            yield Point(max(trained, evaluated), event.at, values)


def _steps_of(events: Sequence[AnyEvent]) -> Steps:
    trained = (event.step for event in events if isinstance(event, Stepped))
    evaluated = (event.step for event in events if isinstance(event, Evaluated))
    return Steps(max(trained, default=0), max(evaluated, default=0))


def _values(event: AnyEvent) -> dict[str, float]:
    match event:
        case Stepped():
            return {
                "train/loss": event.loss,
                "train/grad_norm": event.grad_norm,
                "train/learning_rate": event.learning_rate,
                "train/epoch": event.epoch,
                "train/seconds_per_step": event.seconds,
            }
        case Evaluated() | Scored():
            prefix = "dev_part" if isinstance(event, Evaluated) else "dev"
            rouge = event.rouge
            named = {"rouge1": rouge.rouge1, "rouge2": rouge.rouge2, "rougeL": rouge.rougeL}
            scores = named | {"mean": rouge.mean}
            return {f"{prefix}/{name}": 100 * value for name, value in scores.items()}
        case Sampled():
            known = {"disk_used_gb": event.disk_used_gb, "vram_used_gb": event.vram_used_gb}
            return {f"machine/{name}": value for name, value in known.items() if value is not None}
        case _:
            return {}


def run_name(run: Run, recipe: Recipe) -> str:
    """``{nickname}_ep{epochs}_bs{effective}_lr{lr}_{time}``, as the team names its runs."""
    train = recipe.train
    time = "-".join(run.name.split("-")[:2])
    return f"{recipe.name}_ep{train.epochs}_bs{train.batch_rows}_lr{train.learning_rate:g}_{time}"


def _settings(recipe: Recipe) -> dict[str, str | float | None]:
    return {
        "recipe": recipe.name,
        "engine": recipe.engine,
        "base": recipe.model.base,
        "quantisation": recipe.model.quantisation,
        "epochs": recipe.train.epochs,
        "batch_rows": recipe.train.batch_rows,
        "learning_rate": recipe.train.learning_rate,
        "schedule": recipe.train.schedule.value,
        "seed": recipe.train.seed,
        "lora_rank": recipe.lora.rank if recipe.lora else None,
    }


def _tags(recipe: Recipe) -> list[str]:
    toy = "toy" if recipe.model.scratch is not None else None
    return [tag for tag in (recipe.engine, recipe.model.quantisation, toy) if tag]


def _wandb(replay: Replay) -> None:
    """Offline unless a key or WANDB_MODE says otherwise; ``wandb sync`` sends it later.

    W&B counts rows by itself and refuses to go back, so the step is a value like any other.
    """
    import wandb

    mode = os.environ.get("WANDB_MODE") or (
        "online" if os.environ.get("WANDB_API_KEY") else "offline"
    )
    target = wandb.init(
        project=os.environ.get("WANDB_PROJECT", "yoyak"),
        dir=replay.folder,
        id=replay.run.name,
        name=run_name(replay.run, replay.recipe),
        group=replay.recipe.engine,
        tags=_tags(replay.recipe),
        config=_settings(replay.recipe),
        mode=mode,
        resume="allow",
        reinit="create_new",
        save_code=False,
        settings=wandb.Settings(
            console="off", disable_git=True, x_disable_meta=True, x_disable_stats=True, silent=True
        ),
    )
    try:
        target.define_metric("*", step_metric=_STEP)
        for point in replay.points:
            target.log(point.values | {_STEP: point.step, "_timestamp": point.at})
    finally:
        target.finish()


def _trackio(replay: Replay) -> None:
    """Into trackio's own store in the piece's folder; nothing is sent."""
    os.environ["TRACKIO_DIR"] = str(replay.folder)
    import trackio

    target = trackio.init(
        project="yoyak",
        name=run_name(replay.run, replay.recipe),
        group=replay.recipe.engine,
        config=_settings(replay.recipe),
        embed=False,
    )
    for point in replay.points:
        target.log(point.values | {_STEP: point.step})
    trackio.finish()


def _tensorboard(replay: Replay) -> None:
    from tensorboard.summary import Writer

    writer = Writer(str(replay.folder))
    for point in replay.points:
        for name, value in point.values.items():
            writer.add_scalar(name, value, point.step, wall_time=point.at)
    writer.close()


MIRRORS: dict[str, Callable[[Replay], None]] = {
    "wandb": _wandb,
    "trackio": _trackio,
    "tensorboard": _tensorboard,
}
"""Every tracker that can be fed."""
