"""``yoyak.toml``: settings of a machine and a folder, and changes to recipes."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from yoyak.config.load import recipe_name
from yoyak.config.toml_file import read_toml
from yoyak.errors import BadRecipe
from yoyak.values import Value

FILE = "yoyak.toml"


class ResourceLimits(Value, frozen=True, kw_only=True):
    """Limits of disk, RAM and GPU memory; ``None`` sets no limit of that kind."""

    disk_used_gb: float | None = None
    """Stop before the disk holds this much (a contest server may be wiped at 150 GB)."""
    disk_free_gb: float = 2.0
    """Stop before less than this is free."""
    ram_free_gb: float = 0.5
    """Stop before less memory than this is free."""
    vram_free_gb: float | None = None
    """Stop before less GPU memory than this is free."""
    prune_hub: bool = False
    """Bases in the hub's cache may be removed once no run of the line-up needs them."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            # Nothing is ever less than NaN, so such a limit would never be exceeded.
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} has to be a number from 0 up, not {value}")


class _Data(Value, frozen=True, kw_only=True):
    """The data of this folder's runs."""

    folder: str | None = None
    """Data folder where the command names none."""
    allow: tuple[str, ...] = ()
    """Findings of the audit that would stop training, and shall not."""


class _Workspace(Value, frozen=True, kw_only=True):
    """Where the runs of this folder are."""

    folder: str | None = None
    """Workspace where the command names none."""


class Mirrors(Value, frozen=True, kw_only=True):
    """The trackers that ``yoyak run`` logs to during a run."""

    trackers: tuple[str, ...] = ()
    """``wandb``, ``trackio``, ``tensorboard``."""


class Backups(Value, frozen=True, kw_only=True):
    """Automatic backups by ``yoyak run``."""

    after_each_run: bool = False
    """Make a backup after each run."""
    push: str | None = None
    """Name of the git remote that each backup is pushed to."""


class Budget(Value, frozen=True, kw_only=True):
    """The most that a model may cost to be compared; ``None`` sets no limit of that kind."""

    train_minutes: float | None = None
    """Minutes of training."""
    vram_gb: float | None = None
    """Peak GPU memory."""
    seconds_per_summary: float | None = None
    """Seconds of generation per summary."""


NO_BUDGET = Budget()


class Lineup(Value, frozen=True, kw_only=True):
    """Which recipes run, and their order."""

    recipes: tuple[str, ...] = ()
    """The recipes of ``yoyak run`` and ``yoyak plan`` where none is named."""
    priority: dict[str, int] = {}
    """By recipe name, 0 where none is given; the highest runs first."""

    def in_order(self, named: Sequence[str]) -> tuple[str, ...]:
        """Return ``named`` in the order in which they run; equals keep their order."""
        return tuple(sorted(named, key=lambda name: -self.priority.get(recipe_name(name), 0)))


class Project(Value, frozen=True, kw_only=True):
    """The parsed ``yoyak.toml``; ``recipes`` holds settings by recipe name, checked later."""

    data: _Data = _Data()
    workspace: _Workspace = _Workspace()
    limits: ResourceLimits = ResourceLimits()
    lineup: Lineup = Lineup()
    mirror: Mirrors = Mirrors()
    backup: Backups = Backups()
    budget: Budget = Budget()
    recipes: dict[str, dict[str, Any]] = {}
    """Settings by recipe name, as ``[recipes.kobart]``."""

    @property
    def layers(self) -> dict[str, Any]:
        """The project layer of ``load.resolve``."""
        return {"recipes": self.recipes}


def read_project(folder: Path) -> Project:
    """Read the ``yoyak.toml`` of ``folder``; defaults where there is none.

    Raises:
        BadRecipe: it is not TOML in UTF-8, or holds a key that nothing reads.
    """
    path = folder / FILE
    if not path.is_file():
        return Project()
    try:
        return msgspec.convert(read_toml(path), Project)
    except msgspec.ValidationError as error:
        raise BadRecipe("runs.bad-project", path=path, problem=error) from error
