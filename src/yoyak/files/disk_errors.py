"""The room that is left on a disk, and errors of ours for what the system refuses to write."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from yoyak.errors import CannotWrite, DiskFull, YoyakError

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_ROOM_WORDS = re.compile(r"no space left|disk quota|file too large", re.IGNORECASE)
_NEARLY_FULL_BYTES = 2**20
_REFUSED = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EIO,
        errno.ELOOP,
        errno.EEXIST,
    }
)


def require_space(path: Path, needed_bytes: int) -> None:
    """Refuses to begin what cannot fit.

    Raises:
        DiskFull: fewer than ``needed_bytes`` are free where ``path`` will stand.
    """
    if free_bytes(path) < needed_bytes:
        raise _disk_full(path, needed_bytes)


def free_bytes(path: Path) -> int:
    """What an ordinary user can still write where ``path`` stands, or will stand."""
    place = next(each for each in (path, *path.absolute().parents) if each.exists())
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize


def free_inodes(path: Path) -> int | None:
    """How many more files there may be where ``path`` will stand; ``None``: as many as fit."""
    place = next(each for each in (path, *path.absolute().parents) if each.exists())
    found = os.statvfs(place)
    return found.f_favail if found.f_files else None


@contextmanager
def saying_why(path: Path, needed_bytes: int | None = None) -> Iterator[None]:
    """Turns what the system says about writing ``path`` into an error that says what to do.

    torch and safetensors report a full disk in errors of their own kind, so every error is
    looked at: for its number, for its words, and then for the room that is left.

    Raises:
        DiskFull: no room, no quota, or a file larger than allowed.
        CannotWrite: the system refuses for another reason.
    """
    try:
        yield
    except Exception as error:
        ours = _write_error(path, error, needed_bytes)
        if ours is None:
            raise
        raise ours from error


def _write_error(path: Path, error: Exception, needed_bytes: int | None) -> YoyakError | None:
    """The error of ours that says why ``path`` could not be written; ``None`` for another cause."""
    if isinstance(error, YoyakError):
        return None
    if _is_for_room(error, path):
        return _disk_full(path, needed_bytes)
    if isinstance(error, OSError) and error.errno in _REFUSED:
        return CannotWrite("runs.cannot-write", path=path, problem=error.strerror)
    return None


def _is_for_room(error: Exception, path: Path) -> bool:
    if isinstance(error, OSError):
        return error.errno in _NO_ROOM
    if _NO_ROOM_WORDS.search(str(error)):
        return True
    return isinstance(error, RuntimeError) and free_bytes(path) < _NEARLY_FULL_BYTES


def _disk_full(path: Path, needed_bytes: int | None) -> DiskFull:
    """The error that names what was to be written and the room that is left."""
    needed = "?" if needed_bytes is None else f"{needed_bytes:,}"
    return DiskFull("runs.disk-full", path=path, needed=needed, free=f"{free_bytes(path):,}")


def write_all(handle: int, content: bytes) -> None:
    """Writes every byte, however many calls the system makes of it."""
    written = 0
    while written < len(content):
        written += os.write(handle, content[written:])
