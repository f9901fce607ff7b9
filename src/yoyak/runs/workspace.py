"""The workspace: a folder of runs, imports, ensembles, submissions and reports.

::

    workspace/workspace.json  runs/…  imports/…  studies/…  blends/…  submissions/<n>/…
              ledger.jsonl  ratings.jsonl  report/
"""

import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from yoyak.config.schema import Recipe
from yoyak.errors import BadData
from yoyak.files import atomic
from yoyak.files.disk_errors import explain_write_errors
from yoyak.files.format import RUN, WORKSPACE, decode_record
from yoyak.runs.run import Run, RunIdentity, create
from yoyak.values import Corpus, Value


class WorkspaceSettings(Value, frozen=True, kw_only=True):
    """What is stored in ``workspace.json`` between commands."""

    data_folder: str | None = None
    format: int = WORKSPACE.number


class Workspace:
    """A workspace folder; it is created by the first write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs_folder = folder / "runs"
        self.imports_folder = folder / "imports"
        self.studies_folder = folder / "studies"
        self.blends_folder = folder / "blends"
        self.submissions_folder = folder / "submissions"
        self.ledger_path = folder / "ledger.jsonl"
        self.ratings_path = folder / "ratings.jsonl"
        self.report_folder = folder / "report"

    @property
    def memory(self) -> WorkspaceSettings:
        """The stored settings; defaults where there are none."""
        path = self.folder / "workspace.json"
        if not path.is_file():
            return WorkspaceSettings()
        try:
            return decode_record(path.read_bytes(), WorkspaceSettings, WORKSPACE, path)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadData("runs.bad-record", path=path, problem=error) from error

    def remember_data(self, folder: Path) -> None:
        """Store ``folder`` as the data folder of later commands."""
        changed = WorkspaceSettings(data_folder=str(folder.resolve()))
        if changed != self.memory:
            atomic.write_bytes(self.folder / "workspace.json", msgspec.json.encode(changed))

    def runs(self) -> list[Run]:
        """Return every run, oldest first (by sequence number: clocks may jump).

        Runs whose identity or recipe is damaged are left out: see ``damaged_runs``.
        """
        readable = [run for run in self._runs() if _damage(run) is None]
        return sorted(readable, key=lambda run: run.identity.sequence)

    def damaged_runs(self) -> dict[str, BadData]:
        """Return the folders below ``runs`` that look like runs and are none, with the reason."""
        found = {run.name: _damage(run) for run in self._runs()}
        return {name: error for name, error in sorted(found.items()) if error is not None}

    def find(self, recipe: Recipe, corpus: Corpus) -> Run | None:
        """Return the newest run that trains this recipe on this data, in the current format.

        A run of an older format is never continued: its settings had other names.
        """
        wanted = (recipe.name, recipe.learning_hash, *_fingerprints(corpus))
        found = [
            run
            for run in self.runs()
            if run.identity.format == RUN.number and _key(run.identity) == wanted
        ]
        return found[-1] if found else None

    def older_runs(self, recipe: str) -> list[Run]:
        """Return the runs of that recipe in an older format, which are kept as they are."""
        return [
            run
            for run in self.runs()
            if run.identity.format < RUN.number and run.identity.recipe == recipe
        ]

    def find_or_create(
        self, recipe: Recipe, corpus: Corpus, provenance: Callable[[], bytes]
    ) -> Run:
        """Do as ``find``, or create the run; of two commands at once only one creates it."""
        with self._alone():
            return self.find(recipe, corpus) or self._create(recipe, corpus, provenance())

    def _create(self, recipe: Recipe, corpus: Corpus, provenance: bytes) -> Run:
        train, dev = _fingerprints(corpus)
        known = self.runs()
        identity = RunIdentity(
            format=RUN.number,
            sequence=1 + max((run.identity.sequence for run in known), default=0),
            recipe=recipe.name,
            learning_hash=recipe.learning_hash,
            data_folder=corpus.folder,
            train_sha256=train,
            dev_sha256=dev,
            created_at=time.time(),
        )
        return create(self._free_folder(identity), identity, recipe, provenance)

    def relative(self, path: Path) -> str:
        """Return a record's address: its path below the workspace."""
        return path.relative_to(self.folder).as_posix()

    def named(self, name: str) -> Run | None:
        """Return the run of that folder name, or the newest run of the recipe of that name."""
        found = [run for run in self.runs() if name in {run.name, run.identity.recipe}]
        return found[-1] if found else None

    def _runs(self) -> Iterator[Run]:
        if not self.runs_folder.is_dir():
            return
        for folder in self.runs_folder.iterdir():
            if not folder.name.startswith(".") and (folder / "identity.json").is_file():
                yield Run(folder)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the workspace's lock inside the block; others that create runs wait."""
        with explain_write_errors(self.folder):
            self.runs_folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _free_folder(self, identity: RunIdentity) -> Path:
        day = time.strftime("%y%m%d-%H%M", time.localtime(identity.created_at))
        digest = atomic.sha256_of(identity.learning_hash, identity.train_sha256)[:4]
        stem = atomic.checked_name(f"{day}-{ascii_name(identity.recipe)}-{digest}")
        folder = self.runs_folder / stem
        return folder if not folder.exists() else folder.with_name(f"{stem}-{identity.sequence}")


def _damage(run: Run) -> BadData | None:
    """Return why identity or recipe of ``run`` cannot be read; a newer format is no damage."""
    try:
        _ = run.recipe
    except BadData as error:
        if error.key != "runs.bad-record":
            raise
        return error
    return None


def ascii_name(recipe: str) -> str:
    """Return a recipe's name as part of a folder's name: other characters become hyphens."""
    return re.sub(r"[^a-z0-9._@-]+", "-", recipe.lower())[:48].strip("-.") or "recipe"


def _fingerprints(corpus: Corpus) -> tuple[str, str]:
    return corpus.train.fingerprint, corpus.dev.fingerprint


def _key(identity: RunIdentity) -> tuple[str, str, str, str]:
    return (
        identity.recipe,
        identity.learning_hash,
        identity.train_sha256,
        identity.dev_sha256,
    )
