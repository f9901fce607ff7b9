"""Delete what no run needs, in a declared order and never a result.

First leftovers of killed writers and files that were set aside, then token caches of finished runs,
checkpoints that no run needs, soups whose predictions are stored and scored and were never
submitted, and last (only if asked) bases in the hub's cache that no run needs any more. What is
kept is verified before anything is deleted, and nothing is deleted without our mark.
"""

import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path

from yoyak.engine.base_facts import hub_folder
from yoyak.errors import BadData, Interrupted
from yoyak.events import PredictionProgress, RunStatus
from yoyak.files import atomic
from yoyak.runs.run import Run
from yoyak.runs.workspace import Workspace
from yoyak.values import SplitName, Value

_STEP = re.compile(r"step-(\d+)")
_PUT_ASIDE = (".trash-", ".old-", ".torn-", "torn-")


class PruneKind(StrEnum):
    """What may be deleted, in the order of deletion."""

    TRASH = "trash"
    TOKENS = "tokens"
    CHECKPOINT = "checkpoint"
    SOUP = "soup"
    BASE = "base"


class PruneCandidate(Value, frozen=True, kw_only=True):
    """Something that may be deleted; ``run`` is the folder name of the run that it belongs to."""

    path: str
    kind: PruneKind
    size_bytes: int
    run: str | None = None


def kept_steps(steps: Iterable[int], best: int | None, *, finished: bool) -> frozenset[int]:
    """Return the checkpoints a run needs: best, last and previous to resume, the best if finished.

    ``steps`` are those that verify. If the best is not among them, the last is kept instead.
    """
    whole = sorted(steps)
    kept = {step for step in whole if step == best}
    if not finished:
        kept |= set(whole[-2:])
    return frozenset(kept or whole[-1:])


def candidates(
    workspace: Workspace, *, hub: bool = False, needed_bases: Iterable[str] = ()
) -> tuple[PruneCandidate, ...]:
    """Return all that may be deleted now, in order; runs with a live process are left alone.

    ``needed_bases`` are bases of runs still to come; ``hub`` allows the others to be deleted.
    """
    runs = [run for run in workspace.runs() if run.holder() is None]
    found = [
        *_trash_of_workspace(workspace),
        *(each for run in runs for each in _trash_of(run)),
        *(each for run in runs for each in _tokens_of(run)),
        *(each for run in runs for each in _checkpoints_of(run)),
        *(each for run in runs for each in _soups_of(run, workspace.ledger_path)),
    ]
    if hub:
        found += _bases(workspace.runs(), frozenset(needed_bases))
    return tuple(found)


def prune(workspace: Workspace, chosen: Sequence[PruneCandidate]) -> tuple[PruneCandidate, ...]:
    """Delete ``chosen`` in order, return what was deleted; a run started since then is kept."""
    return tuple(each for each in chosen if _delete(workspace, each))


def _delete(workspace: Workspace, candidate: PruneCandidate) -> bool:
    path = Path(candidate.path)
    if candidate.run is None:
        return _remove(path, candidate.kind)
    try:
        with Run(workspace.runs_folder / candidate.run).lock():
            return _remove(path, candidate.kind)
    except Interrupted:
        return False


def _remove(path: Path, kind: PruneKind) -> bool:
    if path.is_symlink() or not path.exists():
        return False
    if kind is PruneKind.BASE:
        shutil.rmtree(path)
    elif path.is_file():
        path.unlink()
    elif kind in {PruneKind.CHECKPOINT, PruneKind.SOUP} or atomic.is_ours(path):
        atomic.remove_folder(path)
    elif not any(path.iterdir()):
        path.rmdir()  # left by a remover that was killed at its last step
    else:
        return False
    return True


# --- what may go ---------------------------------------------------------------------------------


def _trash_of_workspace(workspace: Workspace) -> Iterator[PruneCandidate]:
    for folder in (workspace.folder, workspace.runs_folder, workspace.submissions_folder):
        yield from _trash(folder, None)


def _trash_of(run: Run) -> Iterator[PruneCandidate]:
    places = [run.folder / name for name in (".", "checkpoints", "predictions", "scores", "tokens")]
    for folder in (*places, *sorted((run.folder / "soups").glob("*/"))):
        yield from _trash(folder, run.name)


def _trash(folder: Path, run: str | None) -> Iterator[PruneCandidate]:
    if not folder.is_dir():
        return
    abandoned = set(atomic.leftovers(folder)) if run is not None else set()
    for path in sorted(folder.iterdir()):
        if path in abandoned or path.name.startswith(_PUT_ASIDE):
            yield _candidate(path, PruneKind.TRASH, run)


def _checkpoints_of(run: Run) -> Iterator[PruneCandidate]:
    if run.supervised_folder != run.engine_folder and is_safe(run):
        # Nothing is resumed from them once the stage after it is done.
        for path in sorted((run.supervised_folder / "checkpoints").glob("step-*")):
            if atomic.verify_folder(path) is not None:
                yield _candidate(path, PruneKind.CHECKPOINT, run.name)
    folders = {
        int(match[1]): path
        for path in sorted((run.folder / "checkpoints").glob("step-*"))
        if (match := _STEP.fullmatch(path.name))
    }
    if not folders:
        return
    whole = [step for step, path in folders.items() if atomic.verify_folder(path) is not None]
    best = run.state().best
    kept = kept_steps(whole, best.step if best else None, finished=is_safe(run))
    for step, path in sorted(folders.items()):
        if step not in kept and step in whole:
            yield _candidate(path, PruneKind.CHECKPOINT, run.name)


def _tokens_of(run: Run) -> Iterator[PruneCandidate]:
    """Yield the training rows as token ids, which are quick to encode again."""
    found = sorted((run.folder / "tokens").glob("*.msgpack"))
    if found and is_safe(run):
        for path in found:
            yield _candidate(path, PruneKind.TOKENS, run.name)


def _soups_of(run: Run, ledger: Path) -> Iterator[PruneCandidate]:
    """Yield averaged weights whose predictions are complete; those that were submitted stay."""
    submitted = ledger.read_text(encoding="utf-8") if ledger.is_file() else ""
    for folder in sorted((run.folder / "soups").glob("*/")):
        prefix = folder.name if folder.name.startswith("step-") else f"soup-{folder.name}"
        weights = folder / "weights"
        if weights.is_dir() and f"{prefix}-" not in submitted and _is_answered(run, prefix):
            yield _candidate(weights, PruneKind.SOUP, run.name)


_SPLITS: tuple[SplitName, ...] = ("dev", "test")


def _is_answered(run: Run, prefix: str) -> bool:
    """Return whether every decoding that was begun has its dev and test predictions and score."""
    begun = {
        path.stem.partition("@")[2]
        for path in (run.folder / "predictions").glob(f"*@{prefix}-*.jsonl")
    }
    rows = {split: len(run.predictions(split)) for split in _SPLITS}
    return bool(begun) and all(
        _scored(run, variant)
        and all(len(run.predictions(split, variant)) == rows[split] for split in _SPLITS)
        for variant in begun
    )


def is_safe(run: Run) -> bool:
    """Return whether a run's result no longer depends on its checkpoints.

    It is finished, every prediction and the scores can be read, and its weights verify.
    """
    if run.state().status is not RunStatus.FINISHED:
        return False
    generated = {
        event.split: event.of
        for event in run.log(whole=False).events
        if isinstance(event, PredictionProgress)
    }
    return (
        all(len(run.predictions(split)) == generated.get(split, 0) for split in _SPLITS)
        and _scored(run, None)
        and atomic.verify_folder(run.engine_folder / "weights") is not None
    )


def _scored(run: Run, variant: str | None) -> bool:
    try:
        card = run.scorecard("dev", variant)
    except BadData:
        return False
    return card is not None and card.n == len(run.predictions("dev", variant))


def _bases(runs: Sequence[Run], needed: frozenset[str]) -> Iterator[PruneCandidate]:
    """Yield cached bases that only safe runs used; a pinned revision is deliberate and stays."""
    used = {run: run.recipe.model for run in runs}
    still = {model.base for run, model in used.items() if not is_safe(run)} | needed
    for base in dict.fromkeys(model.base for model in used.values()):
        pinned = any(model.revision for model in used.values() if model.base == base)
        if base is None or base in still or pinned or Path(base).exists():
            continue
        folder = hub_folder(base)
        if folder.is_dir() and not folder.is_symlink():
            yield _candidate(folder, PruneKind.BASE, None)


def _candidate(path: Path, kind: PruneKind, run: str | None) -> PruneCandidate:
    return PruneCandidate(path=str(path), kind=kind, size_bytes=atomic.size_bytes(path), run=run)
