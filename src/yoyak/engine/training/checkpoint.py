"""Write and read checkpoints: whole or not there, never resumed with another recipe, data or base.

``checkpoints/step-000390/`` holds the trainable parameters and the optimizer state as safetensors
and the training state as JSON; nothing in it can run code. ``files.atomic`` writes it: files,
fsync, manifest, rename.
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
from yoyak.metrics.reward_watch import WatchedSummaries
from yoyak.values import Value

TENSORS = "trainables.safetensors"
OPTIMIZER = "moments.safetensors"
STATE = "progress.json"


class CheckpointIdentity(Value, frozen=True, kw_only=True):
    """What the weights depend on; a checkpoint with another identity is not resumed."""

    recipe: Recipe
    data_sha256: str
    base_sha256: str


class TrainState(Value, frozen=True, kw_only=True):
    """Everything a run resumes from besides weights and optimizer state."""

    step: int = 0
    budget_tokens: int
    """Padded tokens of one forward pass; halved after an out-of-memory error."""
    recompute: Recompute = Recompute.NOTHING
    """The level of activation checkpointing."""
    deterministic: bool = False
    """Deterministic kernels are on, and proved to repeat their results on this device."""
    packed: bool = False
    """Rows of a forward pass are concatenated (cu_seqlens) instead of padded."""
    kernels_refused: bool = False
    """Fused LoRA failed its check under ``train.kernels = "auto"``: PEFT's layers are used."""
    rate_scale: float = 1.0
    """Factor of the learning rate: 0.5 after the one roll-back that a run is allowed."""
    skipped_steps: int = 0
    """Consecutive steps that were skipped for a loss or gradient that was not finite."""
    evaluated_step: int | None = None
    start_value: float | None = None
    """The recipe's metric before the first step; no checkpoint is chosen for it."""
    best_step: int | None = None
    best_value: float | None = None
    """The recipe's metric at ``best_step``."""
    best_averaged: bool = False
    """The moving average at ``best_step`` was better than the weights themselves."""
    stale: int = 0
    """Consecutive evaluations without an improvement, for early stopping."""
    loss_mean: float | None = None
    """Exponential moving average of the loss per supervised token."""
    loss_variance: float = 0.0
    """Exponential moving average of its squared deviation."""
    high_losses: int = 0
    """Consecutive steps whose loss was far above the average."""
    watched_start: WatchedSummaries | None = None
    """What is watched for reward hacking, before the first step of metric-aware training."""
    reward_alarms: tuple[str, ...] = ()
    """What the last evaluation raised an alarm for."""

    @property
    def rolled_back(self) -> bool:
        """Whether the run has used its one roll-back."""
        return self.rate_scale < 1.0


class Snapshot(Value, frozen=True, kw_only=True):
    """The JSON of a checkpoint."""

    identity: CheckpointIdentity
    progress: TrainState


class CheckpointSize(NamedTuple):
    """Name and size of a checkpoint that was just written."""

    name: str
    size_bytes: int


def name_of(step: int) -> str:
    """Return the folder name of a step's checkpoint."""
    return f"step-{step:06d}"


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: holds nothing else; created if absent.
        identity: of the run that saves and resumes here.

    Attributes:
        torn: names of damaged checkpoints that ``newest`` has set aside.
        saved_recipe: the recipe of the checkpoint that ``newest`` returned.
    """

    def __init__(self, folder: Path, identity: CheckpointIdentity) -> None:
        self._folder = folder
        self._identity = identity
        folder.mkdir(parents=True, exist_ok=True)
        atomic.clear_leftovers(folder)
        self.torn: list[str] = []
        self.saved_recipe = identity.recipe

    def steps(self) -> list[int]:
        """List the steps that have a checkpoint folder, ascending; they are not verified."""
        return sorted(int(path.name.removeprefix("step-")) for path in self._folder.glob("step-*"))

    def newest(self) -> TrainState | None:
        """Return the state of the newest checkpoint that verifies; ``None`` if none does.

        Damaged ones are renamed to ``torn-…`` and listed in ``torn``. The recipe of the checkpoint
        becomes ``saved_recipe``; it may differ from the run's in how steps are computed.

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
        """Return whether the checkpoint of ``step`` exists and matches its checksums."""
        return atomic.verify_folder(self._folder / name_of(step)) is not None

    def tensors(self, step: int, device: torch.device) -> dict[str, torch.Tensor]:
        """Load the trainable parameters of ``step``."""
        return _read(self._folder / name_of(step) / TENSORS, device)

    def optimizer_state(self, step: int, device: torch.device) -> dict[str, torch.Tensor]:
        """Load the optimizer state of ``step``."""
        return _read(self._folder / name_of(step) / OPTIMIZER, device)

    def save(
        self,
        state: TrainState,
        tensors: Mapping[str, torch.Tensor],
        optimizer_state: Mapping[str, torch.Tensor],
    ) -> CheckpointSize:
        """Write a checkpoint, then remove all but the best, the last and the one before.

        Raises:
            DiskFull, CannotWrite: earlier checkpoints are as they were.
        """
        name = name_of(state.step)
        snapshot = Snapshot(identity=self._identity, progress=state)
        with atomic.whole_folder(self._folder / name) as folder:
            _write(folder / TENSORS, tensors)
            _write(folder / OPTIMIZER, optimizer_state)
            (folder / STATE).write_bytes(msgspec.json.encode(snapshot))
        self._retain(state)
        return CheckpointSize(name, atomic.size_bytes(self._folder / name))

    def remove_after(self, step: int) -> None:
        """Remove the checkpoints of later steps, after a roll-back to ``step``."""
        for later in self.steps():
            if later > step:
                atomic.remove_folder(self._folder / name_of(later))

    def newest_good(self) -> int | None:
        """Return the newest checkpoint's step that was saved with no step being skipped."""
        for step in reversed(self.steps()):
            if self.state_at(step).skipped_steps == 0:
                return step
        return None

    def state_at(self, step: int) -> TrainState:
        """Read the training state of ``step``."""
        return self._snapshot(self._folder / name_of(step)).progress

    def _retain(self, state: TrainState) -> None:
        kept = {*self.steps()[-2:], state.best_step}
        for step in self.steps():
            if step not in kept:
                atomic.remove_folder(self._folder / name_of(step))

    def _snapshot(self, path: Path) -> Snapshot:
        try:
            snapshot = msgspec.json.decode((path / STATE).read_bytes(), type=Snapshot)
        except msgspec.DecodeError as error:
            raise RunFailed("engine.old-checkpoint", path=path, problem=str(error)) from error
        differences = "; ".join(_differences(snapshot.identity, self._identity))
        if differences:
            raise RunFailed("engine.other-checkpoint", path=path, differences=differences)
        return snapshot

    def _set_aside(self, path: Path) -> None:
        self.torn.append(path.name)
        target = path.with_name(f"torn-{path.name}")
        if target.exists():
            target = path.with_name(f"torn-{path.name}-{len(list(self._folder.iterdir()))}")
        path.rename(target)
        atomic.sync_folder(self._folder)


def changes(before: Recipe, after: Recipe) -> dict[str, str]:
    """Return the settings that differ, by key: ``train.learning_rate 5e-05 → 0.0001``."""
    was, now = dict(settings_of(before)), dict(settings_of(after))
    return {
        key: f"{key} {was.get(key)} → {now.get(key)}"
        for key in sorted({*was, *now})
        if was.get(key) != now.get(key)
    }


def _differences(saved: CheckpointIdentity, now: CheckpointIdentity) -> list[str]:
    """List what forbids to resume; decoding and how steps are computed may differ."""
    found = []
    if saved.recipe.learning_hash != now.recipe.learning_hash:
        changed = changes(saved.recipe, now.recipe)
        may = (
            "about",
            "file",
            "base.",
            "decode.",
            *(f"train.{name}" for name in RESUMABLE_SETTINGS),
        )
        found += [change for key, change in changed.items() if not key.startswith(may)]
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

    # Adapters have one count of AdamW's steps under many names, which safetensors refuses.
    own = {
        name: tensor.detach().contiguous() if tensor.ndim else tensor.detach().clone()
        for name, tensor in tensors.items()
    }
    save_file(own, path)
