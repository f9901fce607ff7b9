"""Runs told to the trackers that people like, from outside: afterwards, or while they work.

A run never waits for a tracker: the mirror reads ``events.jsonl`` from its beginning and writes
below ``report/mirrors/<tracker>/``. What was told to the end is noted as ``<run>.told``; a mirror
that was killed leaves no note, so the next one tells the whole run again in place of what is
there, and every point stands there once. Metrics only: no dialogue, summary or command line
leaves the run.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime
from netrc import NetrcParseError, netrc
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from yoyak.config.schema import Recipe
from yoyak.errors import Unavailable, UsageError
from yoyak.events import Failed, Finished, Stopped
from yoyak.files import atomic
from yoyak.runs.redact import redact
from yoyak.runs.run import Run
from yoyak.runs.workspace import Workspace
from yoyak.scheduler.worker_process import Tail
from yoyak.trackers.metrics import TrackerMetrics, TrackerPoint

PROJECT = "yoyak"
_STEP = "train/step"


class Target(NamedTuple):
    """A run on its way into a tracker, and the folder that is the tracker's."""

    run: Run
    recipe: Recipe
    folder: Path


Tell = Callable[[Iterable[TrackerPoint]], None]
Open = Callable[[Target], AbstractContextManager[Tell]]
Tracker = Callable[[Path], AbstractContextManager[Open]]
"""A tracker is opened once, in its folder; each run is then told in a block of its own."""


def mirror(workspace: Workspace, tracker: str) -> dict[str, int]:
    """Tells ``tracker`` every run that has news; returns how many points it was told of each.

    Raises:
        UsageError: there is no such tracker.
        Unavailable: its library is not installed, or it refused.
    """
    with Mirror(workspace, tracker) as told:
        return told()


def check(tracker: str) -> None:
    """Refuses a tracker that nothing here can feed (``UsageError``)."""
    if tracker not in MIRRORS:
        raise UsageError("report.no-mirror", tracker=tracker, known=", ".join(MIRRORS))


class Mirror:
    """One tracker and the runs that are being told to it; each call tells what is new."""

    def __init__(self, workspace: Workspace, tracker: str) -> None:
        check(tracker)
        self._workspace = workspace
        self._tracker = tracker
        self._folder = workspace.report_folder / "mirrors" / tracker
        self._telling: dict[str, _Telling] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            self._open = self._stack.enter_context(MIRRORS[self._tracker](self._folder))
        except ModuleNotFoundError as error:
            raise Unavailable("report.mirror-missing", tracker=self._tracker) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._stack:
            for telling in self._telling.values():
                self._stack.callback(telling.close, whole=error is None)

    def __call__(self) -> dict[str, int]:
        """Tell what is new of every run of the workspace; return how many points each gained."""
        return {run.name: self.tell(run) for run in self._workspace.runs()}

    def tell(self, run: Run) -> int:
        """Tell what is new of one run; return how many points it gained."""
        note = self._folder / f"{run.name}.told"
        telling = self._telling.get(run.name)
        if telling is None:
            if not run.log_path.is_file() or _told_bytes(note) == run.log_path.stat().st_size:
                return 0
            telling = self._telling[run.name] = _Telling(run, note, self._open)
        gained = telling()
        if telling.is_over:
            self._telling.pop(run.name).close(whole=True)
        return gained


class _Telling:
    """One run's way into one tracker, from the first line of its log."""

    def __init__(self, run: Run, note: Path, open_: Open) -> None:
        self._note = note
        self._tail = Tail(run.log_path, position=0)
        self._points = TrackerMetrics()
        self._stack = ExitStack()
        self.is_over = False
        note.unlink(missing_ok=True)
        folder = note.with_suffix("")
        shutil.rmtree(folder, ignore_errors=True)
        self._say = self._stack.enter_context(open_(Target(run, run.recipe, folder)))

    def __call__(self) -> int:
        events = list(self._tail())
        found = list(self._points(events))
        if found:
            self._say(found)
        if events:
            self.is_over = isinstance(events[-1], Finished | Failed | Stopped)
        return len(found)

    def close(self, *, whole: bool) -> None:
        self._stack.close()
        if whole:
            atomic.write_text(self._note, str(self._tail.position))


def _told_bytes(note: Path) -> int | None:
    return int(note.read_text(encoding="utf-8")) if note.is_file() else None


def run_name(target: Target) -> str:
    """``{nickname}_ep{epochs}_bs{effective}_lr{lr}_{time}``, as the team names its runs."""
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


# --- the trackers --------------------------------------------------------------------------------


@contextmanager
def _wandb(_folder: Path) -> Iterator[Open]:
    import wandb

    try:
        yield _wandb_run
    finally:
        wandb.teardown()  # until then the last block of a file may be on its way to the disk


@contextmanager
def _wandb_run(target: Target) -> Iterator[Tell]:
    """Offline unless there is a key or WANDB_MODE says otherwise; ``wandb sync`` sends it later.

    W&B's own step is the point's number. Online it refuses numbers that it has already, so a run
    that is told again gains what is new; an offline file holds the whole run.
    """
    import wandb

    target.folder.mkdir()  # where there is none, W&B would write elsewhere
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

    def tell(points: Iterable[TrackerPoint]) -> None:
        for point in points:
            run.log(point.values | {_STEP: point.step, "_timestamp": point.at}, step=point.number)

    try:
        run.define_metric("*", step_metric=_STEP)
        yield tell
    finally:
        run.finish()


def _has_wandb_key() -> bool:
    """Whether ``wandb login`` or the environment left one."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname
    try:
        return netrc(os.environ.get("NETRC")).authenticators(host or "") is not None
    except (FileNotFoundError, NetrcParseError):
        return False


@contextmanager
def _trackio(folder: Path) -> Iterator[Open]:
    """Into one store for all runs, TRACKIO_DIR's or the mirror's own; nothing is sent.

    The call is the one that trackio's importers make: it keeps the time of each event, and skips
    a point whose id it holds already.
    """
    os.environ.setdefault("TRACKIO_DIR", str(folder.absolute()))  # read once, at the import
    from trackio.sqlite_storage import SQLiteStorage

    @contextmanager
    def open_run(target: Target) -> Iterator[Tell]:
        def tell(points: Iterable[TrackerPoint]) -> None:
            told = list(points)
            SQLiteStorage.bulk_log(
                project=PROJECT,
                run=run_name(target),
                metrics_list=[point.values for point in told],
                steps=[point.step for point in told],
                timestamps=[datetime.fromtimestamp(point.at, UTC).isoformat() for point in told],
                config=_settings(target.recipe) | {"_Group": target.recipe.engine},
                log_ids=[f"{target.run.name}-{point.number}" for point in told],
                run_id=target.run.name,
            )

        yield tell

    yield open_run


@contextmanager
def _tensorboard(_folder: Path) -> Iterator[Open]:
    from tensorboard.summary import Writer

    @contextmanager
    def open_run(target: Target) -> Iterator[Tell]:
        writer = Writer(str(target.folder))

        def tell(points: Iterable[TrackerPoint]) -> None:
            for point in points:
                for name, value in point.values.items():
                    writer.add_scalar(name, value, point.step, wall_time=point.at)
            writer.flush()

        try:
            yield tell
        finally:
            writer.close()

    yield open_run


MIRRORS: dict[str, Tracker] = {"wandb": _wandb, "trackio": _trackio, "tensorboard": _tensorboard}
"""Every tracker that can be fed."""
