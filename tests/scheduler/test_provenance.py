"""Where a run comes from, in words that hold no secret."""

import os
import subprocess
import sys

import msgspec
import pytest

from yoyak.config import load
from yoyak.scheduler import provenance

pytestmark = pytest.mark.process


def git(folder, *words):
    name = ("-c", "user.name=n", "-c", "user.email=n@example.org")
    return subprocess.run(
        ["git", *name, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "train.csv").write_bytes("대화".encode("cp949"))
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    monkeypatch.chdir(folder)
    return folder


def test_the_commit_and_what_was_changed_since(repository, corpus):
    clean = provenance.gather(corpus).code
    assert clean.commit == git(repository, "rev-parse", "HEAD")
    assert clean.dirty_sha256 is None
    (repository / "train.csv").write_bytes("대화문".encode("cp949"))  # no UTF-8 in this difference
    first = provenance.gather(corpus).code
    (repository / "train.csv").write_bytes("대화록".encode("cp949"))
    second = provenance.gather(corpus).code
    assert None not in (first.dirty_sha256, second.dirty_sha256)
    assert first.dirty_sha256 != second.dirty_sha256


def test_changes_that_could_not_be_read_are_unknown_and_not_none(repository, corpus, monkeypatch):
    real = subprocess.run

    def slow(words, **named):
        if "diff" in words:
            raise subprocess.TimeoutExpired(words, 10)
        return real(words, **named)

    monkeypatch.setattr(subprocess, "run", slow)
    assert provenance.gather(corpus).code.dirty_sha256 == "unknown"


def test_outside_a_repository_there_is_no_code(tmp_path, corpus, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.gather(corpus).code is None


def test_only_allowed_variables_are_written_and_no_secret_of_the_command(corpus, monkeypatch):
    secret = "hf_" + "Zz9" * 10
    monkeypatch.setenv("MY_TOKEN", "quite plain words")
    monkeypatch.setenv("PGPASSFILE", "elsewhere")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(sys, "argv", ["yoyak", "run", "--set", f"model.base={secret}"])
    found = provenance.gather(corpus)
    assert found.environment["HF_HUB_OFFLINE"] == "1"
    assert found.environment.keys() <= set(provenance.ALLOWED_ENVIRONMENT)
    written = msgspec.json.encode(found).decode()
    assert secret not in written
    assert "quite plain words" not in written
    assert "elsewhere" not in written


def test_packages_and_data_are_named(corpus):
    found = provenance.gather(corpus)
    assert found.packages["msgspec"] == msgspec.__version__
    assert found.data_sha256 == {
        "train": corpus.train.fingerprint,
        "dev": corpus.dev.fingerprint,
        "test": corpus.test.fingerprint,
    }


def test_the_base_is_named_as_it_was_found(corpus, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    recipe = load.resolve("lead", sets=["model.base=org/name"]).recipe
    assert provenance.gather(corpus, recipe).base == "org/name"  # still to be downloaded
    snapshot = tmp_path / "hub" / "models--org--name" / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}", encoding="utf-8")
    (snapshot / "model.safetensors").touch()
    assert provenance.gather(corpus, recipe).base == "org/name@0123abcd"
    local = load.resolve("lead", sets=[f"model.base={snapshot}"]).recipe
    before = provenance.gather(corpus, local).base
    assert before.startswith(f"{snapshot}@")
    (snapshot / "config.json").write_text("{} ", encoding="utf-8")
    assert provenance.gather(corpus, local).base != before
    assert provenance.gather(corpus, load.resolve("lead").recipe).base is None


def test_the_threads_of_a_worker_are_named(corpus, monkeypatch):
    toy, large = (load.resolve(name).recipe for name in ("tiny-bart", "kobart"))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert provenance.gather(corpus, toy).threads == 1
    assert provenance.gather(corpus, large).threads == os.cpu_count()
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert provenance.gather(corpus, large).threads == 3
