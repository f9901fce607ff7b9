"""Scores of out-of-fold summaries, stored in the workspace: ``folds/<key>-seed42.json``."""

from pathlib import Path

import msgspec

from yoyak.errors import BadData
from yoyak.files import atomic
from yoyak.metrics.scorecard import Scorecard
from yoyak.runs.workspace import Workspace
from yoyak.values import Value


class FoldScores(Value, frozen=True, kw_only=True):
    """The summaries of all folds of one seed, scored as one system on rows of train."""

    key: str
    """Of the training without seed and fold, and of train."""
    recipe: str
    seed: int
    folds: int
    train_sha256: str
    outputs: dict[str, str]
    """SHA-256 of the summaries by run, in the order of folds."""
    card: Scorecard


def fold_scores(workspace: Workspace) -> list[FoldScores]:
    """Return all that is stored, by recipe and seed."""
    found = [_read(path) for path in sorted(_folder(workspace).glob("*.json"))]
    return sorted(found, key=lambda each: (each.recipe, each.key, each.seed))


def read_fold_scores(workspace: Workspace, key: str, seed: int) -> FoldScores | None:
    """Return the stored scores of a training and seed, if there are any."""
    path = _path(workspace, key, seed)
    return _read(path) if path.is_file() else None


def write_fold_scores(workspace: Workspace, scores: FoldScores) -> None:
    """Store the scores in place of earlier ones."""
    path = _path(workspace, scores.key, scores.seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(path, msgspec.json.encode(scores))


def _read(path: Path) -> FoldScores:
    try:
        return msgspec.json.decode(path.read_bytes(), type=FoldScores)
    except msgspec.DecodeError as error:
        raise BadData("runs.bad-record", path=path, problem=error) from error


def _folder(workspace: Workspace) -> Path:
    return workspace.folder / "folds"


def _path(workspace: Workspace, key: str, seed: int) -> Path:
    return _folder(workspace) / f"{key[:12]}-seed{seed}.json"
