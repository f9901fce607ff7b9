"""Atomic writes of files and folders: after a kill or a full disk, old or new, never a mixture.

A file is written under a temporary name, fsynced and renamed. A folder is written as
``.name.tmp-<pid>-<host>``, gets its ``manifest.json`` last, and is renamed after every file of it
was fsynced: a folder whose manifest verifies is complete.
"""

import ctypes
import errno
import os
import re
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec

from yoyak.errors import BadData, CannotWrite
from yoyak.files.disk_errors import explain_write_errors, require_space, write_all
from yoyak.files.manifest import (
    MANIFEST,
    MARKER,
    FileRecord,
    Manifest,
    is_ours,
    read_manifest,
    records,
    sha256_file,
    sha256_of,
    sync_folder,
    verify_folder,
)

__all__ = [
    "FileRecord", "Manifest", "checked_name", "clear_leftovers", "is_ours",
    "leftovers", "read_manifest", "remove_folder", "require_space", "set_aside", "sha256_file",
    "sha256_of", "size_bytes", "sync_folder", "verify_folder", "whole_file", "whole_folder",
    "write_bytes", "write_text", "write_value",
]  # fmt: skip

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_NO_EXCHANGE = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP})
_NAME = re.compile(r"[a-z0-9_-][a-z0-9._@-]{0,79}")


def checked_name(name: str) -> str:
    """Return ``name`` if it can name a file or folder of ours: lower case, no leading dot or slash.

    Raises:
        BadData: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise BadData("runs.bad-name", name=name)
    return name


# --- files ---------------------------------------------------------------------------------------


@contextmanager
def whole_file(path: Path, needed_bytes: int | None = None) -> Iterator[Callable[[bytes], None]]:
    """Yield a function that appends bytes; on leaving without an error they are the file ``path``.

    A reader sees the old content or all of the new.

    Raises:
        DiskFull: the disk is full; the old content is intact.
        CannotWrite: the folder cannot be written.
    """
    temporary = _temporary(path)
    with explain_write_errors(path, needed_bytes):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
            try:
                yield partial(write_all, handle)
                os.fsync(handle)
            finally:
                os.close(handle)
            temporary.rename(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def _temporary(path: Path) -> Path:
    """Return this process's name for what becomes ``path``; other machines may share the folder."""
    return path.with_name(f".{path.name}.tmp-{os.getpid()}-{socket.gethostname()}")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file of known content as ``whole_file`` does."""
    with whole_file(path, len(content)) as write:
        write(content)


def write_text(path: Path, text: str) -> None:
    """Do as ``write_bytes``, in UTF-8."""
    write_bytes(path, text.encode())


def write_value(path: Path, value: object) -> None:
    """Do as ``write_bytes``, as indented JSON with one value per line."""
    write_bytes(path, msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")


# --- folders -------------------------------------------------------------------------------------


@contextmanager
def whole_folder(path: Path, notes: Mapping[str, str] | None = None) -> Iterator[Path]:
    """Yield a folder to fill; on leaving without an error it is renamed to ``path``.

    ``notes`` are read on leaving, so they may be filled in the meantime. A folder of ours that
    was at ``path`` is replaced only after every file of the new one was fsynced.

    Raises:
        DiskFull, CannotWrite: as ``write_bytes``; nothing is left behind and ``path`` is untouched.
    """
    temporary = _temporary(path)
    with explain_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _fresh_folder(temporary)
            yield temporary
            manifest = Manifest.sealed(tuple(records(temporary)), dict(notes or {}))
            write_value(temporary / MANIFEST, manifest)
            old = _put_in_place(temporary, path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync_folder(path.parent)
        if old is not None:
            _remove_tree(old)


def remove_folder(path: Path) -> None:
    """Remove a folder of ours; it is renamed first, so that half of it is never taken for whole.

    Raises:
        CannotWrite: it is not ours, or a link, and so not ours to delete.
    """
    with explain_write_errors(path):
        _remove_tree(_to_trash(path))


def set_aside(path: Path, why: str) -> Path:
    """Rename ``path`` to ``.<why>-<name>-<n>`` in the same folder, and return the new path."""
    aside = next(
        name
        for count in range(10**6)
        if not os.path.lexists(name := path.with_name(f".{why}-{path.name}-{count}"))
    )
    with explain_write_errors(path):
        path.rename(aside)
        sync_folder(path.parent)
    return aside


def leftovers(folder: Path) -> tuple[Path, ...]:
    """Return what killed writers and removers left directly in ``folder``, in order of name.

    A live writer's temporary is among them: only the holder of the run's lock may remove them.
    """
    if not folder.is_dir():
        return ()
    return tuple(
        path
        for path in sorted(folder.iterdir())
        if path.name.startswith(".trash-") or (path.name.startswith(".") and ".tmp-" in path.name)
    )


def clear_leftovers(folder: Path) -> int:
    """Remove the leftovers of ``folder`` and return the bytes that were freed."""
    freed = 0
    for path in leftovers(folder):
        freed += size_bytes(path)
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif is_ours(path) or not any(path.iterdir()):
            _remove_tree(path)
    return freed


def size_bytes(path: Path) -> int:
    """Return the size of all files at or below ``path``; links are not followed."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size if os.path.lexists(path) else 0
    return sum(size_bytes(entry) for entry in path.iterdir())


def _fresh_folder(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)  # of a dead process that had our number
    path.mkdir()
    (path / MARKER).touch()


def _put_in_place(new: Path, path: Path) -> Path | None:
    """Rename ``new`` to ``path``; return where a folder that had the name is now."""
    if not os.path.lexists(path):
        new.rename(path)
        return None
    if not is_ours(path):
        raise CannotWrite("runs.not-ours", path=path)
    if swap_rename(new, path):
        return new
    old = _to_trash(path)
    new.rename(path)
    return old


def _remove_tree(path: Path) -> None:
    """Remove a folder, its marker last, so that an interrupted removal can be resumed."""
    for entry in path.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name not in {MARKER, MANIFEST}:
            entry.unlink()
    shutil.rmtree(path)


def _to_trash(path: Path) -> Path:
    if not is_ours(path):
        raise CannotWrite("runs.not-ours", path=path)
    return set_aside(path, "trash")


def swap_rename(one: Path, other: Path) -> bool:
    """Exchange two names of one file system in one step (``renameat2(2)``, Linux).

    Returns false where the system cannot.
    """
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if sys.platform != "linux" or rename is None:
        return False
    names = os.fsencode(one), os.fsencode(other)
    if rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NO_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code), str(one))
