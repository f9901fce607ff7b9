"""Commit a workspace's small records to a git branch of their own, not touching the work tree.

Only ``ALLOWED`` is included: reports, scores, recipes, event logs, manifests and submissions;
never weights, data, predictions, examples or worker logs.
The files are copied into a temporary repository, scanned for secrets there (one that is found
stops the backup) and committed; the user's repository gets the finished commit and the branch
moves forward if nobody has moved it meanwhile. A push is never forced.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from yoyak.errors import BadData, CannotWrite, UsageError
from yoyak.messages import text
from yoyak.runs.git import PUSH_PROTOCOLS, git, git_or_none
from yoyak.runs.redact import secret_line
from yoyak.runs.workspace import Workspace

BRANCH = "yoyak-backup"
_REF = f"refs/heads/{BRANCH}"
MAX_BYTES = 50_000_000

ALLOWED = (
    "report/report.md",
    "runs/*/recipe.json",
    "runs/*/identity.json",
    "runs/*/provenance.json",
    "runs/*/events.jsonl",
    "runs/*/scores/*.json",
    "submissions/*/manifest.json",
    "submissions/*/submission.csv",
    "ledger.jsonl",
)
"""Patterns of included files; ``*`` is one part of a path. The Markdown report has no dialogues."""

_REMOTE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_IDENTITY = {
    "GIT_AUTHOR_NAME": "yoyak",
    "GIT_AUTHOR_EMAIL": "yoyak@localhost",
    "GIT_COMMITTER_NAME": "yoyak",
    "GIT_COMMITTER_EMAIL": "yoyak@localhost",
}


class Backup(NamedTuple):
    """Result of a backup; ``commit`` is ``None`` where nothing had changed."""

    commit: str | None
    files: int
    size_bytes: int
    remote: str | None

    @property
    def sentence(self) -> str:
        """The result as a sentence in the user's language."""
        size = f"{self.size_bytes / 1e6:.2f}"
        if self.commit is None:
            said = text("report.backup-unchanged", branch=BRANCH)
        else:
            said = text(
                "report.backed-up", branch=BRANCH, commit=self.commit, files=self.files, mb=size
            )
        pushed = "" if self.remote is None else text("report.backup-pushed", remote=self.remote)
        return f"{said} {pushed}".rstrip()


def backup(workspace: Workspace, *, remote: str | None = None) -> Backup:
    """Commit the allowed records to the branch, and push it to ``remote`` if one is named.

    Raises:
        UsageError: the remote is no configured name, or its address is unsafe.
        BadData: a file holds a secret, or all of them are too large.
        CannotWrite: there is no repository, or git refused.
        Unavailable: git is not installed.
    """
    folder = workspace.folder
    objects = git_or_none(folder, "rev-parse", "--git-path", "objects") if folder.is_dir() else None
    if objects is None:
        raise CannotWrite("report.backup-no-repository", folder=folder)
    addresses = () if remote is None else _addresses(folder, remote)
    taken = list(_allowed(folder))
    size = sum(path.stat().st_size for path in taken)
    if size > MAX_BYTES:
        raise BadData("report.backup-too-large", found=size, most=MAX_BYTES)
    with TemporaryDirectory(prefix="yoyak-backup-") as scratch:
        copy = Path(scratch)
        for path in taken:
            _copy(path, copy / path.relative_to(folder))
        parent = git_or_none(folder, "rev-parse", "--verify", "--quiet", f"{_REF}^{{commit}}")
        commit = _commit(copy, folder / objects, _format(folder), parent, len(taken))
        if commit is not None:
            _transfer(copy, folder, commit, parent)
        for address in addresses:
            # From the copy: the repository's own settings for connections may name programs.
            words = ("push", "--quiet", "--no-verify", "--", address, f"{_REF}:{_REF}")
            git_dir = {"GIT_DIR": str(copy / ".git")}
            git(_top(folder), *words, environment=git_dir, protocols=PUSH_PROTOCOLS)
    return Backup(commit, len(taken), size, remote)


def _allowed(folder: Path) -> Iterator[Path]:
    """Yield the files to include; symbolic links are skipped."""
    root = folder.resolve()
    for pattern in ALLOWED:
        for path in sorted(folder.glob(pattern)):
            parts = path.relative_to(folder).parts
            hidden = any(part.startswith(".") for part in parts)
            if path.is_file() and path.resolve() == root.joinpath(*parts) and not hidden:
                yield path


def _copy(path: Path, copy: Path) -> None:
    """Copy one file and refuse it if it holds a secret; a log may grow meanwhile."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, copy, follow_symlinks=False)
    line = secret_line(copy.read_text(encoding="utf-8", errors="replace"))
    if line is not None:
        raise BadData("report.backup-secret", path=path, line=line)


def _addresses(folder: Path, remote: str) -> tuple[str, ...]:
    """Return where a configured remote is pushed to; no address runs a program or holds a password.

    Raises:
        UsageError: no such remote is configured, or one of its addresses is unsafe.
    """
    known = (git_or_none(folder, "remote") or "").splitlines()
    if not _REMOTE.fullmatch(remote) or remote not in known:
        raise UsageError("report.backup-no-remote", remote=remote)
    said = git(folder, "remote", "get-url", "--push", "--all", "--", remote).decode()
    for address in said.splitlines():
        if "::" in address or address.startswith("-") or re.match(r"\w+://[^/@]*:[^/@]*@", address):
            raise UsageError("report.backup-bad-remote", remote=remote)
    return tuple(said.splitlines())


def _top(folder: Path) -> Path:
    """Return where a relative address begins: the top of the working tree."""
    return Path(git_or_none(folder, "rev-parse", "--show-toplevel") or folder)


def _format(folder: Path) -> str:
    return git(folder, "rev-parse", "--show-object-format").decode().strip()


def _commit(copy: Path, objects: Path, hashes: str, parent: str | None, files: int) -> str | None:
    """Commit all files of ``copy`` after ``parent``; return ``None`` where that holds them already.

    Args:
        copy: becomes a repository of its own.
        objects: of the user's repository, which are read and never written.
        hashes: the user's repository's object format.
        parent: the commit that the branch has now.
        files: how many they are.
    """
    git(copy, "init", "--quiet", "--template=", f"--object-format={hashes}")
    alternates = copy / ".git" / "objects" / "info" / "alternates"
    alternates.parent.mkdir(parents=True, exist_ok=True)
    alternates.write_text(f"{objects.resolve()}\n", encoding="utf-8")
    git(copy, "config", "core.autocrlf", "false")  # whatever the user's own configuration says
    git(copy, "symbolic-ref", "HEAD", _REF)
    if parent is not None:
        git(copy, "update-ref", _REF, parent)
    git(copy, "add", "--all", "--force", ".")
    tree = git(copy, "write-tree")
    if parent is not None and git(copy, "rev-parse", f"{parent}^{{tree}}") == tree:
        return None
    message = ("--quiet", "--allow-empty", "--no-verify", "--message", f"Back up {files} records")
    git(copy, "commit", *message, environment=_IDENTITY)
    return git(copy, "rev-parse", "HEAD").decode().strip()


def _transfer(copy: Path, folder: Path, commit: str, parent: str | None) -> None:
    """Copy the commit's objects into the user's repository and move the branch to it.

    Fails if the branch has moved meanwhile, so no other commit is lost.
    """
    wanted = f"{commit}\n" if parent is None else f"{commit}\n^{parent}\n"
    pack = git(copy, "pack-objects", "--revs", "--stdout", "--quiet", content=wanted.encode())
    git(folder, "unpack-objects", "-q", content=pack)
    git(folder, "update-ref", _REF, commit, parent or "0" * len(commit))
