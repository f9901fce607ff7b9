"""Whole files and whole folders: what a kill or a full disk leaves is old or new, never torn.

A file is written beside its place, forced to the disk and renamed. A folder is written as
``.name.tmp-<pid>``, gets its ``manifest.json`` last, and is renamed when every byte of it is on
the disk: a folder whose manifest verifies is whole.
"""

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from yoyak.errors import BadData, CannotWrite
from yoyak.store.exchange import exchange
from yoyak.store.log import append_lines, drop_torn_line, read_lines
from yoyak.store.space import free_bytes, require_space, saying_why, write_all, write_error
from yoyak.values import Value

__all__ = [
    "FileRecord",
    "Manifest",
    "append_lines",
    "checked_name",
    "clear_leftovers",
    "drop_torn_line", "empty_trash",
    "free_bytes",
    "is_ours",
    "leftovers",
    "read_lines",
    "read_manifest",
    "remove_folder",
    "require_space",
    "saying_why",
    "set_aside",
    "sha256_file",
    "sha256_of",
    "size_bytes",
    "sync_folder",
    "verify_folder",
    "whole_folder",
    "write_bytes",
    "write_error",
    "write_text",
    "write_value",
]  # fmt: skip

MANIFEST = "manifest.json"
MARKER = ".yoyak"
"""A folder that holds a file of this name was made by us, and only such a folder is removed."""

_NAME = re.compile(r"[a-z0-9_-][a-z0-9._@-]{0,79}")


class FileRecord(Value, frozen=True, kw_only=True):
    """One file of a whole folder; ``name`` is its path below the folder, with slashes."""

    name: str
    size_bytes: int
    sha256: str


class Manifest(Value, frozen=True, kw_only=True):
    """The files of a whole folder, and what its writer noted."""

    files: tuple[FileRecord, ...]
    notes: dict[str, str]

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(file.size_bytes for file in self.files)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of names and contents: equal for equal folders, whatever was noted."""
        return sha256_of([(file.name, file.sha256) for file in self.files])


def checked_name(name: str) -> str:
    """``name``, if it can be a file or folder of ours: lower case, no leading dot, no slash.

    Raises:
        BadData: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise BadData("store.bad-name", name=name)
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
            manifest = Manifest(files=tuple(_records(temporary)), notes=dict(notes or {}))
            write_value(temporary / MANIFEST, manifest)
            old = _put_in_place(temporary, path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync_folder(path.parent)
        if old is not None:
            _remove_tree(old)


def read_manifest(path: Path) -> Manifest | None:
    """The manifest as written, its files not looked at; ``None`` where there is no sound one."""
    try:
        return msgspec.json.decode((path / MANIFEST).read_bytes(), type=Manifest)
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def verify_folder(path: Path) -> Manifest | None:
    """The folder's manifest if it holds exactly the files that were written, else ``None``.

    Every byte is read. A file more is refused as a file less is: loaders look for names.
    """
    manifest = read_manifest(path)
    if manifest is None:
        return None
    records = {record.name: record for record in manifest.files}
    found = {each.relative_to(path).as_posix(): each for each in _contents(path)}
    if found.keys() != records.keys():
        return None
    whole = all(_is_as_written(found[name], record) for name, record in records.items())
    return manifest if whole else None


def is_ours(path: Path) -> bool:
    """Whether ``path`` is a folder, not a link, that carries our marker or a manifest of ours."""
    if path.is_symlink() or not path.is_dir():
        return False
    return (path / MARKER).is_file() or read_manifest(path) is not None


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


def sync_folder(folder: Path) -> None:
    """Forces a folder's list of names to the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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
        raise CannotWrite("store.not-ours", path=path)
    if exchange(new, path):
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
        raise CannotWrite("store.not-ours", path=path)
    return set_aside(path, "trash")


def _contents(folder: Path) -> list[Path]:
    own = {folder / MANIFEST, folder / MARKER}
    return [path for path in sorted(folder.rglob("*")) if path not in own and not _is_folder(path)]


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _records(folder: Path) -> Iterator[FileRecord]:
    """Forces each file to the disk and describes it."""
    for path in _contents(folder):
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as stream:
            os.fsync(handle)
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            size = os.fstat(handle).st_size
        yield FileRecord(name=path.relative_to(folder).as_posix(), size_bytes=size, sha256=digest)
    for path in filter(_is_folder, folder.rglob("*")):
        sync_folder(path)


def _is_as_written(path: Path, record: FileRecord) -> bool:
    found = path.lstat()
    regular = stat.S_ISREG(found.st_mode) and found.st_size == record.size_bytes
    return regular and sha256_file(path) == record.sha256


# --- hashes ------------------------------------------------------------------------------------


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of(*parts: object) -> str:
    """SHA-256 of values that msgspec can write, in hexadecimal; dictionaries in key order."""
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()
