"""Planted code is not run, and what was committed is on the disk and not in a cache."""

import os
import pickle
import re
import socket
from pathlib import Path

import pytest

import yoyak
from yoyak.files import atomic, manifest

PACKAGE = Path(yoyak.__file__).parent


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "checkpoints" / "step-000010"
    with atomic.whole_folder(path) as folder:
        (folder / "trainables.safetensors").write_bytes(b"weights")
    return path


@pytest.mark.parametrize("name", ["moments.pt", "trainables.safetensors", "rng_state.pth"])
def test_a_pickle_in_a_checkpoint_is_never_opened(checkpoint, tmp_path, name):
    (checkpoint / name).write_bytes(pickle.dumps(Payload(tmp_path / "mark")))
    assert atomic.verify_folder(checkpoint) is None
    assert not (tmp_path / "mark").exists()


def test_nothing_in_the_package_can_open_one():
    forbidden = re.compile(
        r"pickle\.loads?\b|import pickle|joblib|torch\.load\((?!.*weights_only=True)"
        r"|weights_only=False|trust_remote_code=True|shell=True|\beval\(|\bexec\("
    )
    found = [
        f"{path.relative_to(PACKAGE)}:{number}"
        for path in PACKAGE.rglob("*.py")
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if forbidden.search(line) and "model.eval(" not in line and ".eval()" not in line
    ]
    assert found == []


def test_what_is_committed_survives_a_loss_of_power(tmp_path, monkeypatch):
    """Every file, its folder and the folder above were forced to the disk, in that order."""
    synced = []
    really_sync, really_rename = os.fsync, Path.rename

    def sync(handle):
        really_sync(handle)
        synced.append(os.fstat(handle).st_ino)

    def rename(path, target):
        synced.append(f"{path.name} to {Path(target).name}")
        return really_rename(path, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "rename", rename)
    path = tmp_path / "step-000010"
    with atomic.whole_folder(path) as folder:
        (folder / "trainables.safetensors").write_bytes(b"weights")
        (folder / "deep").mkdir()
        (folder / "deep" / "progress.json").write_bytes(b"{}")
    temporary = f".step-000010.tmp-{os.getpid()}-{socket.gethostname()}"
    committed = synced.index(f"{temporary} to step-000010")
    inodes = {each: each.stat().st_ino for each in (path, *path.rglob("*"))}
    before = {
        each.name: synced.index(inode)
        for each, inode in inodes.items()
        if each.name != manifest.MARKER
    }
    assert max(before.values()) < committed
    assert before["manifest.json"] > before["trainables.safetensors"]
    # The manifest's own name is on the disk before the folder gets its name.
    last_sync_of_folder = max(i for i, each in enumerate(synced) if each == inodes[path])
    assert before["manifest.json"] < last_sync_of_folder < committed
    assert tmp_path.stat().st_ino in synced[committed:]
