"""Whatever a repository's configuration names, git as yoyak calls it runs none of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from yoyak.errors import CannotWrite, Unavailable
from yoyak.export.git_backup import BRANCH, backup
from yoyak.runs.git import git, git_or_none
from yoyak.runs.workspace import Workspace
from yoyak.scheduler import provenance

pytestmark = pytest.mark.process

DIFF = ("diff", "--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty", "HEAD")


def plain(folder, *words, check=True):
    me = ("-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "protocol.file.allow=always")
    done = subprocess.run(
        ["git", *me, *words], cwd=folder, check=check, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    folder = tmp_path / "repository"
    folder.mkdir()
    plain(folder, "init", "-q")
    (folder / "file.bin").write_text("one\n")
    (folder / ".gitattributes").write_text("*.bin filter=f=x diff=d merge=m\n")
    plain(folder, "add", ".")
    plain(folder, "commit", "-q", "-m", "first")
    (folder / "file.bin").write_text("two\n")
    return folder


@pytest.fixture
def ran(tmp_path):
    """Where the program notes that it ran, and with which words."""
    return tmp_path / "ran"


@pytest.fixture
def program(tmp_path, ran):
    path = tmp_path / "program"
    path.write_text(f'#!/bin/sh\necho "$0 $*" >> "{ran}"\nexec cat\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def hostile(repository, program):
    """Every setting known to name a program, and every hook."""
    far = repository.parent / "far.git"
    plain(repository, "init", "-q", "--bare", str(far))
    sub = repository.parent / "sub"
    sub.mkdir()
    plain(sub, "init", "-q")
    plain(sub, "commit", "-q", "--allow-empty", "-m", "first")
    plain(repository, "submodule", "--quiet", "add", str(sub), "sub")
    plain(repository, "commit", "-q", "-m", "sub")
    plain(repository / "sub", "config", "core.fsmonitor", str(program))
    for key in (
        "core.fsmonitor", "core.sshCommand", "core.pager", "core.editor", "core.askPass",
        "core.gitProxy", "core.alternateRefsCommand", "credential.helper", "diff.external",
        "diff.d.textconv", "diff.d.command", "filter.f=x.clean", "filter.f=x.smudge",
        "merge.m.driver", "gpg.program", "pager.diff", "uploadpack.packObjectsHook",
        "remote.origin.receivepack", "remote.origin.uploadpack", "sequence.editor",
        "interactive.diffFilter", "trailer.x.command",
    ):  # fmt: skip
        plain(repository, "config", key, str(program))
    plain(repository, "config", "filter.f=x.required", "true")
    plain(repository, "config", "commit.gpgSign", "true")
    plain(repository, "config", "gc.auto", "1")
    plain(repository, "config", "remote.origin.url", "../far.git")
    hooks = repository / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in (
        "pre-commit", "commit-msg", "post-commit", "reference-transaction", "pre-push",
        "post-index-change", "prepare-commit-msg", "pre-auto-gc", "post-checkout",
    ):  # fmt: skip
        (hooks / name).symlink_to(program)
    (repository / "file.bin").write_text("three\n")
    workspace = repository / "workspace"
    (workspace / "runs" / "r").mkdir(parents=True)
    (workspace / "runs" / "r" / "recipe.json").write_text("{}")
    return repository


def test_plain_git_does_run_what_the_repository_names(hostile, ran):
    plain(hostile, *DIFF, check=False)
    assert ran.is_file(), "or the tests below would show nothing"


def test_neither_provenance_nor_a_backup_with_a_push_runs_any_of_it(
    hostile, ran, corpus, monkeypatch
):
    ran.unlink(missing_ok=True)
    monkeypatch.chdir(hostile)
    code = provenance.gather(corpus).code
    assert code is not None
    assert code.dirty_sha256 not in {None, "unknown"}
    done = backup(Workspace(hostile / "workspace"), remote="origin")
    assert not ran.exists(), ran.read_text()
    held = git(hostile.parent / "far.git", "rev-parse", BRANCH).decode().strip()
    assert held == done.commit
    assert git(hostile, "show", f"{BRANCH}:runs/r/recipe.json") == b"{}"


def test_a_remote_over_ssh_is_not_reached_by_the_repository_s_program(hostile, ran):
    plain(hostile, "config", "remote.origin.url", "ssh://127.0.0.1:1/nothing.git")
    ran.unlink(missing_ok=True)
    with pytest.raises(CannotWrite, match="push"):
        backup(Workspace(hostile / "workspace"), remote="origin")
    assert not ran.exists(), ran.read_text()


@pytest.mark.parametrize("address", ["ext::sh -c id", "file:///nowhere.git", "ssh://127.0.0.1:1/x"])
def test_nothing_is_reached_unless_the_caller_allows_it(repository, address):
    with pytest.raises(CannotWrite, match="not allowed"):
        git(repository, "fetch", address)


def test_variables_of_a_hook_do_not_lead_elsewhere(repository, tmp_path, monkeypatch):
    head = plain(repository, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert git_or_none(repository, "rev-parse", "HEAD") == head


def test_what_git_says_no_to_is_an_error_with_its_reason(repository, monkeypatch):
    assert git_or_none(repository, "rev-parse", "--verify", "--quiet", "nothing") is None
    with pytest.raises(CannotWrite, match="rev-parse failed: fatal"):
        git(repository, "rev-parse", "--verify", "nothing^{commit}")
    monkeypatch.setenv("PATH", str(Path(sys.prefix) / "nowhere"))
    with pytest.raises(Unavailable):
        git(repository, "status")
