"""A backup takes what is listed, to a branch of its own, and nothing else moves."""

import subprocess

import pytest

from yoyak.errors import BadData, CannotWrite, UsageError
from yoyak.export import git_backup
from yoyak.export.git_backup import BRANCH
from yoyak.runs.workspace import Workspace

pytestmark = pytest.mark.process

TOKEN = "hf_" + "a1B2c3D4" * 4


def git(folder, *words):
    done = subprocess.run(
        ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    git(tmp_path, "init", "--quiet")
    folder = tmp_path / "workspace"
    for name, text in {
        "report/report.md": "# 보고서\n",
        "report/index.html": "<p>대화</p>",
        "runs/r1/recipe.json": "{}",
        "runs/r1/events.jsonl": '{"event":"queued"}\n',
        "runs/r1/scores/dev.json": "{}",
        "runs/r1/predictions/dev.jsonl": "요약",
        "runs/r1/weights/model.safetensors": "weights",
        "runs/r1/worker.log": "log",
        "submissions/1/manifest.json": "{}",
        "submissions/1/submission.csv": ",fname,summary\n",
        "ledger.jsonl": "{}\n",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Workspace(folder)


def held(workspace):
    return git(workspace.folder, "ls-tree", "-r", "--name-only", "--full-tree", BRANCH).splitlines()


def test_only_what_is_listed_is_taken(workspace):
    done = git_backup.backup(workspace)
    assert held(workspace) == [
        "ledger.jsonl",
        "report/report.md",
        "runs/r1/events.jsonl",
        "runs/r1/recipe.json",
        "runs/r1/scores/dev.json",
        "submissions/1/manifest.json",
        "submissions/1/submission.csv",
    ]
    assert done.files == 7
    assert done.remote is None


def test_the_working_tree_and_its_index_are_not_touched(workspace):
    before = git(workspace.folder, "status", "--porcelain")
    git_backup.backup(workspace)
    assert git(workspace.folder, "status", "--porcelain") == before
    assert git(workspace.folder, "symbolic-ref", "HEAD") != f"refs/heads/{BRANCH}"


def test_nothing_new_is_no_commit_and_the_branch_keeps_its_past(workspace):
    first = git_backup.backup(workspace).commit
    assert git_backup.backup(workspace).commit is None
    (workspace.folder / "ledger.jsonl").write_text("{}\n{}\n", encoding="utf-8")
    second = git_backup.backup(workspace).commit
    assert git(workspace.folder, "rev-parse", f"{second}^") == first


def test_a_secret_stops_it_and_names_the_line(workspace):
    path = workspace.folder / "runs" / "r1" / "events.jsonl"
    path.write_text(f'{{"event":"queued"}}\n{{"message":"{TOKEN}"}}\n', encoding="utf-8")
    with pytest.raises(BadData, match=r"events\.jsonl, line 2") as caught:
        git_backup.backup(workspace)
    assert TOKEN not in str(caught.value)
    with pytest.raises(subprocess.CalledProcessError):
        git(workspace.folder, "rev-parse", "--verify", BRANCH)


def test_links_out_of_the_workspace_are_not_followed(workspace, tmp_path):
    (tmp_path / "secret.json").write_text("{}", encoding="utf-8")
    (workspace.folder / "runs" / "r1" / "scores" / "link.json").symlink_to(tmp_path / "secret.json")
    git_backup.backup(workspace)
    assert "runs/r1/scores/link.json" not in held(workspace)


def test_too_much_is_refused(workspace, monkeypatch):
    monkeypatch.setattr(git_backup, "MAX_BYTES", 10)
    with pytest.raises(BadData, match="10"):
        git_backup.backup(workspace)


def test_a_push_goes_forward_and_is_never_forced(workspace, tmp_path):
    other = tmp_path / "other.git"
    git(tmp_path, "init", "--quiet", "--bare", str(other))
    git(workspace.folder, "remote", "add", "origin", str(other))
    first = git_backup.backup(workspace, remote="origin")
    assert first.remote == "origin"
    assert git(other, "rev-parse", BRANCH) == first.commit
    git(workspace.folder, "update-ref", "-d", f"refs/heads/{BRANCH}")
    (workspace.folder / "ledger.jsonl").write_text("changed\n", encoding="utf-8")
    with pytest.raises(CannotWrite, match="push"):
        git_backup.backup(workspace, remote="origin")
    assert git(other, "rev-parse", BRANCH) == first.commit


@pytest.mark.parametrize("name", ["--upload-pack=x", "https://a.kr/b", "nowhere", "ext::sh"])
def test_only_a_configured_remote_may_be_named(workspace, name):
    with pytest.raises(UsageError, match="remote"):
        git_backup.backup(workspace, remote=name)


@pytest.mark.parametrize("address", ["https://me:word@example.org/a.git", "ext::sh -c id"])
def test_an_unsafe_address_is_refused_and_not_shown(workspace, address):
    git(workspace.folder, "remote", "add", "origin", address)
    with pytest.raises(UsageError) as caught:
        git_backup.backup(workspace, remote="origin")
    assert address not in str(caught.value)


def test_hooks_of_the_repository_do_not_run(workspace, tmp_path):
    hook = tmp_path / ".git" / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    hook.chmod(0o755)
    assert git_backup.backup(workspace).commit is not None


def test_without_a_repository_it_says_how_to_make_one(tmp_path):
    (tmp_path / "workspace").mkdir()
    with pytest.raises(CannotWrite, match="git init"):
        git_backup.backup(Workspace(tmp_path / "workspace"))
