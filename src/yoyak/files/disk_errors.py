"""Free disk space, and the translation of the system's write errors into yoyak's."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from yoyak.errors import CannotWrite, DiskFull, YoyakError

_DISK_FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DISK_FULL_TEXT = re.compile(r"no space left|disk quota|file too large", re.IGNORECASE)
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
    """Check that ``needed_bytes`` fit before anything is written.

    Raises:
        DiskFull: fewer than ``needed_bytes`` are free where ``path`` will stand.
    """
    if free_bytes(path) < needed_bytes:
        raise _disk_full(path, needed_bytes)


def free_bytes(path: Path) -> int:
    """Return the bytes an unprivileged user can still write on the disk of ``path``."""
    existing = next(each for each in (path, *path.absolute().parents) if each.exists())
    found = os.statvfs(existing)
    return found.f_bavail * found.f_frsize


def free_inodes(path: Path) -> int | None:
    """Return how many more files the disk of ``path`` can hold; ``None`` if it sets no limit."""
    existing = next(each for each in (path, *path.absolute().parents) if each.exists())
    found = os.statvfs(existing)
    return found.f_favail if found.f_files else None


@contextmanager
def explain_write_errors(path: Path, needed_bytes: int | None = None) -> Iterator[None]:
    """Translate errors of the block, which writes ``path``, into errors with the next command.

    torch and safetensors report a full disk by exceptions of their own, so every exception is
    checked: its errno, its text, and then the free space.

    Raises:
        DiskFull: no space, no quota, or a file larger than allowed.
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
    """Return the error that says why ``path`` could not be written; ``None`` for another cause."""
    if isinstance(error, YoyakError):
        return None
    if _is_disk_full(error, path):
        return _disk_full(path, needed_bytes)
    if isinstance(error, OSError) and error.errno in _REFUSED:
        return CannotWrite("runs.cannot-write", path=path, problem=error.strerror)
    return None


def _is_disk_full(error: Exception, path: Path) -> bool:
    if isinstance(error, OSError):
        return error.errno in _DISK_FULL_ERRNOS
    if _DISK_FULL_TEXT.search(str(error)):
        return True
    return isinstance(error, RuntimeError) and free_bytes(path) < _NEARLY_FULL_BYTES


def _disk_full(path: Path, needed_bytes: int | None) -> DiskFull:
    """Return the error that states the bytes to write and the bytes that are free."""
    needed = "?" if needed_bytes is None else f"{needed_bytes:,}"
    return DiskFull("runs.disk-full", path=path, needed=needed, free=f"{free_bytes(path):,}")


def write_all(handle: int, content: bytes) -> None:
    """Write every byte, in as many calls as the system takes."""
    written = 0
    while written < len(content):
        written += os.write(handle, content[written:])
