"""Checkpoints: whole or not there, and never resumed under another recipe, data or base.

``checkpoints/step-000390/`` holds what learns and its moments as safetensors and the progress as
JSON; nothing in it can run code. Written by ``store.disk``: files, fsync, manifest, rename.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.load import settings_of
from yoyak.config.schema import RESUMABLE_SETTINGS, Recipe, Recompute
from yoyak.errors import RunFailed
from yoyak.files import atomic
from yoyak.values import Value

TENSORS = "trainables.safetensors"
MOMENTS = "moments.safetensors"
PROGRESS = "progress.json"


class CheckpointIdentity(Value, frozen=True, kw_only=True):
    """What the weights depend on; a checkpoint of another identity is not gone on with."""

    recipe: Recipe
    data_sha256: str
    base_sha256: str


class TrainState(Value, frozen=True, kw_only=True):
    """How far training has come: everything that is neither weight nor moment."""

    step: int = 0
    budget_tokens: int
    """Of one forward pass; it has shrunk if memory ran out."""
    recompute: Recompute = Recompute.NOTHING
    """Whether gradient checkpointing is on."""
    deterministic: bool = False
    """The device computes with kernels that have shown that they repeat themselves."""
    packed: bool = False
    """Rows stand behind one another in a forward pass instead of being padded."""
    rate_scale: float = 1.0
    """0.5 after the one roll-back that a run is allowed."""
    skipped_steps: int = 0
    """Steps in a row whose loss or gradient was not finite."""
    evaluated_step: int | None = None
    start_value: float | None = None
    """Of the recipe's metric, before the first step; never a candidate for the best."""
    best_step: int | None = None
    best_value: float | None = None
    """Of the recipe's metric."""
    stale: int = 0
    """Evaluations in a row without a better one."""
    loss_mean: float | None = None
    """Moving average of the loss per supervised token, and of its squared deviation."""
    loss_variance: float = 0.0

    @property
    def rolled_back(self) -> bool:
        """The run has had its roll-back."""
        return self.rate_scale < 1.0


class Snapshot(Value, frozen=True, kw_only=True):
    """The JSON of a checkpoint."""

    identity: CheckpointIdentity
    progress: TrainState


class CheckpointSize(NamedTuple):
    """A checkpoint that was just written."""

    name: str
    size_bytes: int


def name_of(step: int) -> str:
    """The folder of a step's checkpoint."""
    return f"step-{step:06d}"


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: holds nothing else.
        identity: of the run that saves and resumes here.
    """

    def __init__(self, folder: Path, identity: CheckpointIdentity) -> None:
        self._folder = folder
        self._identity = identity
        folder.mkdir(parents=True, exist_ok=True)
        atomic.empty_trash(folder)
        self.torn: list[str] = []
        self.saved_recipe = identity.recipe

    def steps(self) -> list[int]:
        """The steps that have a checkpoint by name, rising."""
        return sorted(int(path.name.removeprefix("step-")) for path in self._folder.glob("step-*"))

    def newest(self) -> TrainState | None:
        """The progress of the newest checkpoint that verifies; ``None`` if none does.

        Torn ones are set aside under another name and listed in ``torn``. ``saved_recipe`` becomes
        the recipe of that checkpoint, which may differ in how steps are computed.

        Raises:
            RunFailed: it is of another recipe, other data or another base.
        """
        for step in reversed(self.steps()):
            path = self._folder / name_of(step)
            if atomic.verify_folder(path) is not None:
                snapshot = self._snapshot(path)
                self.saved_recipe = snapshot.identity.recipe
                return snapshot.progress
            self._set_aside(path)
        return None

    def is_whole(self, step: int) -> bool:
        """There is a checkpoint of ``step``, and every byte of it is as it was written."""
        return atomic.verify_folder(self._folder / name_of(step)) is not None

    def tensors(self, step: int, device: torch.device) -> dict[str, torch.Tensor]:
        """What learns, at ``step``."""
        return _read(self._folder / name_of(step) / TENSORS, device)

    def moments(self, step: int, device: torch.device) -> dict[str, torch.Tensor]:
        """The optimiser's state at ``step``."""
        return _read(self._folder / name_of(step) / MOMENTS, device)

    def save(
        self,
        progress: TrainState,
        tensors: Mapping[str, torch.Tensor],
        moments: Mapping[str, torch.Tensor],
    ) -> CheckpointSize:
        """Writes a whole checkpoint, and only then removes those that nobody needs any more.

        Raises:
            DiskFull, CannotWrite: nothing is lost; the earlier checkpoints are as they were.
        """
        name = name_of(progress.step)
        snapshot = Snapshot(identity=self._identity, progress=progress)
        with atomic.whole_folder(self._folder / name) as folder:
            _write(folder / TENSORS, tensors)
            _write(folder / MOMENTS, moments)
            (folder / PROGRESS).write_bytes(msgspec.json.encode(snapshot))
        self._retain(progress)
        return CheckpointSize(name, atomic.size_bytes(self._folder / name))

    def remove_after(self, step: int) -> None:
        """Removes what a roll-back to ``step`` has made untrue."""
        for later in self.steps():
            if later > step:
                atomic.remove_folder(self._folder / name_of(later))

    def newest_good(self) -> int | None:
        """The newest step whose checkpoint was saved with every step applied."""
        for step in reversed(self.steps()):
            if self.progress_at(step).skipped_steps == 0:
                return step
        return None

    def progress_at(self, step: int) -> TrainState:
        """The progress stored at ``step``."""
        return self._snapshot(self._folder / name_of(step)).progress

    def _retain(self, progress: TrainState) -> None:
        """Keeps {best, last, previous}."""
        kept = {*self.steps()[-2:], progress.best_step}
        for step in self.steps():
            if step not in kept:
                atomic.remove_folder(self._folder / name_of(step))

    def _snapshot(self, path: Path) -> Snapshot:
        try:
            snapshot = msgspec.json.decode((path / PROGRESS).read_bytes(), type=Snapshot)
        except msgspec.DecodeError as error:
            raise RunFailed("engine.old-checkpoint", path=path, problem=str(error)) from error
        differences = "; ".join(_differences(snapshot.identity, self._identity))
        if differences:
            raise RunFailed("engine.other-checkpoint", path=path, differences=differences)
        return snapshot

    def _set_aside(self, path: Path) -> None:
        self.torn.append(path.name)
        place = path.with_name(f"torn-{path.name}")
        if place.exists():
            place = path.with_name(f"torn-{path.name}-{len(list(self._folder.iterdir()))}")
        path.rename(place)
        atomic.sync_folder(self._folder)


def changes(before: Recipe, after: Recipe) -> dict[str, str]:
    """The settings that differ, by key, each as ``train.learning_rate 5e-05 → 0.0001``."""
    was, now = dict(settings_of(before)), dict(settings_of(after))
    return {
        key: f"{key} {was.get(key)} → {now.get(key)}"
        for key in sorted({*was, *now})
        if was.get(key) != now.get(key)
    }


def _differences(saved: CheckpointIdentity, now: CheckpointIdentity) -> list[str]:
    """What differs; decoding may, and how steps are computed."""
    found = []
    if saved.recipe.learning_hash != now.recipe.learning_hash:
        changed = changes(saved.recipe, now.recipe)
        may = ("about", "decode.", *(f"train.{name}" for name in RESUMABLE_SETTINGS))
        found += [told for key, told in changed.items() if not key.startswith(may)]
    for what, was, now_is in (
        ("data", saved.data_sha256, now.data_sha256),
        ("base", saved.base_sha256, now.base_sha256),
    ):
        if was != now_is:
            found.append(f"{what} {was[:12]} → {now_is[:12]}")
    return found


def _read(path: Path, device: torch.device) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(path, device=str(device))


def _write(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    from safetensors.torch import save_file

    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, path)
