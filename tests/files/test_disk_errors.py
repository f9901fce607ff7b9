"""A write that failed says why, whatever library wrote, and what is free."""

import errno
import os

import pytest

from yoyak.errors import BadData, CannotWrite, DiskFull
from yoyak.files import atomic, disk_errors
from yoyak.files.disk_errors import explain_write_errors, require_space, write_all

NEW = b"brand new " * 700


def test_what_cannot_fit_is_refused_before_it_begins(tmp_path):
    require_space(tmp_path / "not" / "yet", 1)
    with pytest.raises(DiskFull):
        require_space(tmp_path / "not" / "yet", 2**62)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_says_so(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(CannotWrite):
        atomic.write_bytes(tmp_path / "value.json", NEW)
    tmp_path.chmod(0o700)


def test_a_file_where_a_folder_should_be_says_so(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CannotWrite) as caught:
        atomic.write_bytes(tmp_path / "file" / "value.json", NEW)
    assert "→" in str(caught.value)


def failing(path, error):
    with explain_write_errors(path, 1_234_567):
        raise error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        OSError(errno.EFBIG, "File too large"),
        ValueError("I/O error: No space left on device (os error 28)"),  # as safetensors says it
    ],
    ids=["space", "quota", "file size", "text"],
)
def test_every_way_of_having_no_room_is_a_full_disk_with_figures(tmp_path, error):
    with pytest.raises(DiskFull, match="1,234,567") as caught:
        failing(tmp_path / "weights", error)
    assert caught.value.__cause__ is error
    assert str(tmp_path / "weights") in str(caught.value)
    assert caught.value.exit_code == 74


@pytest.mark.parametrize(("free", "expected"), [(0, DiskFull), (2**40, RuntimeError)])
def test_torchs_wordless_error_is_a_full_disk_only_where_the_disk_is_full(
    tmp_path, monkeypatch, free, expected
):
    monkeypatch.setattr(disk_errors, "free_bytes", lambda path: free)
    with pytest.raises(expected):
        failing(tmp_path / "weights", RuntimeError("unexpected pos 64 vs 0"))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EIO])
def test_a_refusal_of_the_system_names_its_reason(tmp_path, number):
    with pytest.raises(CannotWrite, match=os.strerror(number)):
        failing(tmp_path / "weights", OSError(number, os.strerror(number)))


@pytest.mark.parametrize(
    "error",
    [
        BadData("data.no-such"),
        FileNotFoundError(errno.ENOENT, "No such file or directory"),
        ValueError("shapes differ"),
    ],
    ids=["ours", "missing", "bug"],
)
def test_an_error_of_another_cause_stays_itself(tmp_path, error):
    with pytest.raises(type(error)) as caught:
        failing(tmp_path / "weights", error)
    assert caught.value is error


def test_a_system_that_takes_few_bytes_a_call_gets_them_all(tmp_path, monkeypatch):
    whole = os.write
    monkeypatch.setattr(os, "write", lambda handle, content: whole(handle, content[:999]))
    handle = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    write_all(handle, NEW)
    os.close(handle)
    assert (tmp_path / "file").read_bytes() == NEW
