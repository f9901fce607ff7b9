"""A line-up's small records on a git branch of their own; the working tree is never touched.

Only what is listed here is taken: reports, scores, recipes, event logs, manifests and what was
handed in. Weights, data, predictions, examples and logs of workers are not, whatever the size.
Every file passes a scan for secrets; one that fails stops the backup. Git is called with argument
lists and plumbing commands only, the branch moves forward by compare-and-swap, and a push is
never forced.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from yoyak.errors import BadData, CannotWrite, Unavailable, UsageError, YoyakError
from yoyak.messages import text
from yoyak.report.model.load import gather
from yoyak.report.render.write import write_report
from yoyak.runs.redact import redact
from yoyak.runs.workspace import Workspace

BRANCH = "yoyak-backup"
MOST_BYTES = 50_000_000

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
"""What is taken; a ``*`` stands for one part of a path. The Markdown report has no dialogues."""

_REMOTE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY")
_AUTHOR = {"GIT_AUTHOR_NAME": "yoyak", "GIT_AUTHOR_EMAIL": "yoyak@localhost"}
_COMMITTER = {"GIT_COMMITTER_NAME": "yoyak", "GIT_COMMITTER_EMAIL": "yoyak@localhost"}


class Backup(NamedTuple):
    """What a backup did; ``commit`` is ``None`` where nothing had changed."""

    commit: str | None
    files: int
    size_bytes: int
    remote: str | None

    @property
    def sentence(self) -> str:
        """What was done, for a person."""
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
    """Commits the allowed records to the branch, and pushes it to ``remote`` if one is named.

    Raises:
        UsageError: the remote is no configured name, or its address is unsafe.
        BadData: a file holds a secret, or all of them are too large.
        CannotWrite: there is no repository, or git refused.
        Unavailable: git is not installed.
    """
    git = Git(workspace.folder)
    if remote is not None:
        _check_remote(git, remote)
    taken = list(_allowed(workspace.folder))
    size = sum(path.stat().st_size for path in taken)
    if size > MOST_BYTES:
        raise BadData("report.backup-too-large", found=size, most=MOST_BYTES)
    for path in taken:
        _refuse_secrets(path)
    commit = _commit(git, workspace.folder, taken)
    if remote is not None:
        git.call("push", "--quiet", "--", remote, f"refs/heads/{BRANCH}:refs/heads/{BRANCH}")
    return Backup(commit, len(taken), size, remote)


def _allowed(folder: Path) -> Iterator[Path]:
    """The files to take; links are not followed out of the workspace, nor anywhere."""
    root = folder.resolve()
    for pattern in ALLOWED:
        for path in sorted(folder.glob(pattern)):
            parts = path.relative_to(folder).parts
            hidden = any(part.startswith(".") for part in parts)
            if path.is_file() and path.resolve() == root.joinpath(*parts) and not hidden:
                yield path


def _refuse_secrets(path: Path) -> None:
    written = path.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(written.splitlines(), 1):
        if redact(line) != line:
            raise BadData("report.backup-secret", path=path, line=number)


def _check_remote(git: "Git", remote: str) -> None:
    """Only a configured remote's name; its address runs no program and holds no password."""
    if not _REMOTE.fullmatch(remote) or remote not in git.call("remote").splitlines():
        raise UsageError("report.backup-no-remote", remote=remote)
    addresses = git.call("remote", "get-url", "--push", "--all", "--", remote).splitlines()
    for address in addresses:
        if "::" in address or address.startswith("-") or re.match(r"\w+://[^/@]*:[^/@]*@", address):
            raise UsageError("report.backup-bad-remote", remote=remote)


def _commit(git: "Git", folder: Path, taken: Sequence[Path]) -> str | None:
    """One commit holding exactly ``taken``; none where the branch has it already."""
    parent = git.ask("rev-parse", "--verify", "--quiet", f"refs/heads/{BRANCH}^{{commit}}")
    with tempfile.TemporaryDirectory() as scratch:
        index = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
        for path in taken:
            blob = git.call("hash-object", "-w", "--no-filters", "--", str(path.resolve()))
            name = path.relative_to(folder).as_posix()
            git.call(
                "update-index", "--add", "--cacheinfo", f"100644,{blob},{name}", environment=index
            )
        tree = git.call("write-tree", environment=index)
    if parent and git.call("rev-parse", f"{parent}^{{tree}}") == tree:
        return None
    parents = ("-p", parent) if parent else ()
    message = f"Back up {len(taken)} records"
    who = _AUTHOR | _COMMITTER
    commit = git.call("commit-tree", tree, *parents, "-m", message, environment=who)
    # Fails if anybody has moved the branch meanwhile, so that nothing of theirs is lost.
    git.call("update-ref", f"refs/heads/{BRANCH}", commit, parent or "0" * len(commit))
    return commit


class Git:
    """Git in the repository that holds a folder; hooks and prompts are switched off."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        if not folder.is_dir() or self.ask("rev-parse", "--git-dir") is None:
            raise CannotWrite("report.backup-no-repository", folder=folder)

    def call(self, *words: str, environment: Mapping[str, str] | None = None) -> str:
        """What git prints.

        Raises:
            CannotWrite: git refused; the message holds its reason.
        """
        done = self._run(words, environment)
        if done.returncode:
            problem = redact(done.stderr.strip()) or f"exit code {done.returncode}"
            raise CannotWrite("report.backup-git", command=words[0], problem=problem)
        return done.stdout.strip()

    def ask(self, *words: str) -> str | None:
        """What git prints, or ``None`` where it says no."""
        done = self._run(words, None)
        return None if done.returncode else done.stdout.strip()

    def _run(
        self, words: Sequence[str], environment: Mapping[str, str] | None
    ) -> subprocess.CompletedProcess[str]:
        command = ("git", "-c", "core.hooksPath=/dev/null", "-C", str(self._folder), *words)
        quiet = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        # Inside a git hook these name another repository and another index.
        inherited = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
        try:
            return subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=300,
                env={**inherited, **quiet, **(environment or {})},
            )  # fmt: skip
        except FileNotFoundError as error:
            raise Unavailable("report.backup-no-git") from error


def main(folder: str, remote: str | None = None) -> int:
    """Writes the report and backs up, beside a line-up; returns the exit code."""
    workspace = Workspace(Path(folder))
    try:
        write_report(workspace, gather(workspace))
        done = backup(workspace, remote=remote)
    except YoyakError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(f"{done.sentence}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
