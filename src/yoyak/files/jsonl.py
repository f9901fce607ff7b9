"""Append-only JSON Lines; readers ignore a torn last line and writers drop it."""

import fcntl
import os
from pathlib import Path

from yoyak.files.disk_errors import explain_write_errors, write_all


def append_lines(path: Path, lines: bytes, *, durable: bool = False) -> None:
    """Append whole lines (each with its newline) in one write, which no other writer can split.

    A torn last line, whose writer was killed, is dropped first.

    Raises:
        DiskFull, CannotWrite: nothing was appended; the log is as it was.
    """
    with explain_write_errors(path, len(lines)):
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)  # else dropping a torn line could cut another's
            before = _without_torn_line(handle)
            try:
                write_all(handle, lines)
                if durable:
                    os.fsync(handle)
            except OSError:
                os.ftruncate(handle, before)
                raise
        finally:
            os.close(handle)


def read_lines(path: Path) -> list[bytes]:
    """Return the whole lines of a log; a last one without its newline is left out."""
    return read_lines_from(path, 0)[0]


def read_lines_from(path: Path, start: int) -> tuple[list[bytes], int]:
    """Return the whole lines from byte ``start`` on, and the byte where the next one begins.

    A file that is not there has no lines.
    """
    try:
        with path.open("rb") as stream:
            stream.seek(start)
            content = stream.read()
    except FileNotFoundError:
        return [], start
    whole = content.rfind(b"\n") + 1
    return content[:whole].split(b"\n")[:-1], start + whole


def drop_torn_line(path: Path) -> None:
    """Cut off a last line without a newline, whose writer was killed."""
    if not path.is_file():
        return
    with explain_write_errors(path):
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            _without_torn_line(handle)
        finally:
            os.close(handle)


def _without_torn_line(handle: int) -> int:
    """Cut off a torn last line and return the size of the log."""
    size = os.fstat(handle).st_size
    if size == 0 or os.pread(handle, 1, size - 1) == b"\n":
        return size
    content = os.pread(handle, size, 0)
    whole = content.rfind(b"\n") + 1
    os.ftruncate(handle, whole)
    return whole
