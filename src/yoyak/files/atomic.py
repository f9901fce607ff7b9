"""Whole files and whole folders: what a kill or a full disk leaves is old or new, never torn.

A file is written beside its place, forced to the disk and renamed. A folder is written as
``.name.tmp-<pid>``, gets its ``manifest.json`` last, and is renamed when every byte of it is on
the disk: a folder whose manifest verifies is whole.
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from yoyak.errors import BadData, CannotWrite
from yoyak.files.disk_errors import require_space, saying_why, write_all
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
from yoyak.files.rename_exchange import swap_rename

__all__ = [
    "FileRecord", "Manifest", "checked_name", "clear_leftovers", "empty_trash", "is_ours",
    "leftovers", "read_manifest", "remove_folder", "require_space", "set_aside", "sha256_file",
    "sha256_of", "size_bytes", "sync_folder", "verify_folder", "whole_folder", "write_bytes",
    "write_text", "write_value",
]  # fmt: skip

_NAME = re.compile(r"[a-z0-9_-][a-z0-9._@-]{0,79}")


def checked_name(name: str) -> str:
    """``name``, if it can be a file or folder of ours: lower case, no leading dot, no slash.

    Raises:
        BadData: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise BadData("runs.bad-name", name=name)
    return name


# --- files ---------------------------------------------------------------------------------------


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a whole file: whoever reads sees the old content or all of the new.

    Raises:
        DiskFull: there is no room; the old content is intact.
        CannotWrite: the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    with saying_why(path, len(content)):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
            try:
                write_all(handle, content)
                os.fsync(handle)
            finally:
                os.close(handle)
            temporary.rename(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """As ``write_bytes``, in UTF-8."""
    write_bytes(path, text.encode())


def write_value(path: Path, value: object) -> None:
    """As ``write_bytes``, as JSON with one setting a line, for people and machines."""
    write_bytes(path, msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")


# --- folders -------------------------------------------------------------------------------------


@contextmanager
def whole_folder(path: Path, notes: Mapping[str, str] | None = None) -> Iterator[Path]:
    """Yields a folder to fill; on leaving without an error it becomes ``path``, all at once.

    ``notes`` are read on leaving, so they may be filled in the meantime. A folder of ours that
    stood at ``path`` makes way only when the new one is whole on the disk.

    Raises:
        DiskFull, CannotWrite: as ``write_bytes``; nothing is left behind and ``path`` is untouched.
    """
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    with saying_why(path):
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
    """Removes a folder of ours; it is renamed first, so that half of it never looks whole.

    Raises:
        CannotWrite: it is not ours, or a link, and so not ours to delete.
    """
    with saying_why(path):
        _remove_tree(_to_trash(path))


def set_aside(path: Path, why: str) -> Path:
    """Renames it to ``.<why>-<name>-<n>`` beside its place, where nobody takes it for whole."""
    aside = next(
        name
        for count in range(10**6)
        if not os.path.lexists(name := path.with_name(f".{why}-{path.name}-{count}"))
    )
    with saying_why(path):
        path.rename(aside)
        sync_folder(path.parent)
    return aside


def leftovers(folder: Path) -> tuple[Path, ...]:
    """What killed writers and removers left directly in ``folder``, oldest name first.

    A living writer's temporary is among them: only the holder of the run's lock may remove them.
    """
    if not folder.is_dir():
        return ()
    return tuple(
        path
        for path in sorted(folder.iterdir())
        if path.name.startswith(".trash-") or (path.name.startswith(".") and ".tmp-" in path.name)
    )


def clear_leftovers(folder: Path) -> int:
    """Removes the leftovers of ``folder``; the bytes that were freed."""
    freed = 0
    for path in leftovers(folder):
        freed += size_bytes(path)
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif is_ours(path) or not any(path.iterdir()):
            _remove_tree(path)
    return freed


empty_trash = clear_leftovers


def size_bytes(path: Path) -> int:
    """All files at or below ``path``, links not followed."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size if os.path.lexists(path) else 0
    return sum(size_bytes(entry) for entry in path.iterdir())


def _fresh_folder(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)  # of a dead process that had our number
    path.mkdir()
    (path / MARKER).touch()


def _put_in_place(new: Path, path: Path) -> Path | None:
    """Gives ``new`` the name ``path``; where the folder that had it lies now, if there was one."""
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
    """Removes a folder with what marks it as ours last: a removal that is cut off can go on."""
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
