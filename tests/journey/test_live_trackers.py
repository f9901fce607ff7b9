"""A line-up that is backed up and mirrored by itself, with the real command line."""

import subprocess
from importlib.util import find_spec

import pytest


def git(folder, *words):
    return subprocess.run(
        ["git", "-C", folder, *words], capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.slow
def test_each_finished_run_is_backed_up_and_pushed(yoyak, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    folder, far = yoyak.folder, yoyak.folder / "far.git"
    git(folder, "init", "--quiet")
    git(folder, "init", "--quiet", "--bare", str(far))
    git(folder, "remote", "add", "origin", str(far))
    follows = find_spec("tensorboard")
    trackers = '["tensorboard"]' if follows else "[]"
    (folder / "yoyak.toml").write_text(
        f'[backup]\nafter_each_run = true\npush = "origin"\n[mirror]\ntrackers = {trackers}\n'
    )
    said = yoyak("run", "lead").stderr
    assert "Pushed to origin." in said
    assert git(folder, "status", "--porcelain", "--", "yoyak.toml").startswith("??")
    held = git(far, "ls-tree", "-r", "--name-only", "yoyak-backup").split()
    assert {"report/report.md", "submissions/1/submission.csv", "ledger.jsonl"} <= set(held)
    kept = {name.rsplit("/")[-1] for name in held if name.startswith("runs/")}
    assert kept == {
        "dev.json", "dev2.json", "events.jsonl", "identity.json", "provenance.json", "recipe.json"
    }  # fmt: skip
    assert "lead" in git(far, "show", "yoyak-backup:report/report.md")
    if follows:
        assert len(list((folder / "workspace/report/mirrors/tensorboard").glob("*.told"))) == 1


@pytest.mark.parametrize("tracker", ["mlflow"])
def test_a_tracker_that_there_is_not_stops_the_command_before_a_run(yoyak, tracker):
    (yoyak.folder / "yoyak.toml").write_text(f'[mirror]\ntrackers = ["{tracker}"]\n')
    done = yoyak("run", "lead", check=False)
    assert done.returncode == 2
    assert tracker in done.stderr
    assert not (yoyak.folder / "workspace/runs").exists()
