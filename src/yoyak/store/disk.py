"""Whole files, whole folders and logs: what a kill or a full disk leaves is old or new, never torn.

A file is written beside its place, forced to the disk and renamed. A folder is written as
``.name.tmp-<pid>``, gets its ``manifest.json`` last, and is renamed when every byte of it is on
the disk: a folder with a manifest that verifies is whole (the protocol of docs/reliability.md).
"""

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from yoyak.errors import BadData, CannotWrite, DiskFull, YoyakError
from yoyak.values import Value

MANIFEST = "manifest.json"
_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,79}")


class FileRecord(Value, frozen=True, kw_only=True):
    """One file of a whole folder."""

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


def checked_name(name: str) -> str:
    """``name``, if it can be a file or folder of ours: lower case, no leading dot, no slash.

    Raises:
        BadData: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise BadData("store.bad-name", name=name)
    return name


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a whole file: whoever reads sees the old content or all of the new.

    Raises:
        DiskFull: there is no room; the old content is intact.
        CannotWrite: the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    with _as_ours(path, len(data)):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """As ``write_bytes``, in UTF-8."""
    write_bytes(path, text.encode())


@contextmanager
def whole_folder(path: Path, notes: Mapping[str, str] | None = None) -> Iterator[Path]:
    """Yields a folder to fill; on leaving without an error it becomes ``path``, all at once.

    Raises:
        DiskFull, CannotWrite: as ``write_bytes``; nothing is left behind and ``path`` is untouched.
    """
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    with _as_ours(path, None):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        try:
            yield temporary
            manifest = Manifest(files=tuple(_records(temporary)), notes=dict(notes or {}))
            write_bytes(temporary / MANIFEST, msgspec.json.encode(manifest))
            if path.exists():
                remove_folder(path)
            temporary.rename(path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync_folder(path.parent)


def verify_folder(path: Path) -> Manifest | None:
    """The folder's manifest if every file is as it was written, else ``None``."""
    manifest = read_manifest(path)
    if manifest is None:
        return None
    for file in manifest.files:
        found = path / file.name
        if not found.is_file() or found.stat().st_size != file.size_bytes:
            return None
        if sha256_file(found) != file.sha256:
            return None
    return manifest


def read_manifest(path: Path) -> Manifest | None:
    """The folder's manifest, its files not looked at; ``None`` if it has no sound one."""
    try:
        return msgspec.json.decode((path / MANIFEST).read_bytes(), type=Manifest)
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
        return None


def remove_folder(path: Path) -> None:
    """Removes a folder that we wrote; it is renamed first, so that it never looks whole again.

    Raises:
        CannotWrite: it does not carry our manifest, or is a link: somebody else's is not ours to
            delete.
    """
    if path.is_symlink() or not (path / MANIFEST).is_file():
        raise CannotWrite("store.not-ours", path=path)
    trash = path.with_name(f".trash-{path.name}-{os.getpid()}")
    path.rename(trash)
    sync_folder(path.parent)
    shutil.rmtree(trash)


def empty_trash(folder: Path) -> int:
    """Removes what killed writers and removers left in ``folder``; the bytes that were freed."""
    freed = 0
    for path in folder.glob(".*"):
        if path.name.startswith(".trash-") or ".tmp-" in path.name:
            freed += size_bytes(path)
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    return freed


def size_bytes(path: Path) -> int:
    """All files below ``path``, links not followed."""
    if path.is_symlink() or path.is_file():
        return path.lstat().st_size
    return sum(
        entry.lstat().st_size
        for entry in path.rglob("*")
        if entry.is_symlink() or not entry.is_dir()
    )


def append_lines(path: Path, lines: bytes, *, durable: bool = False) -> None:
    """Appends whole lines (each with its newline) in one write, which no other writer can split.

    Raises:
        DiskFull, CannotWrite: as ``write_bytes``; a torn tail is cut off again.
    """
    with _as_ours(path, len(lines)):
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            before = os.fstat(handle).st_size
            if os.write(handle, lines) != len(lines):
                os.ftruncate(handle, before)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if durable:
                os.fsync(handle)
        finally:
            os.close(handle)


def read_lines(path: Path) -> list[bytes]:
    """The whole lines of a log; a last one without its newline was torn and is left out."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    return content.split(b"\n")[:-1]


def drop_torn_line(path: Path) -> None:
    """Cuts off a last line that has no newline; its writer was killed in the middle of it."""
    if not path.is_file():
        return
    with path.open("r+b") as stream:
        content = stream.read()
        whole = content.rfind(b"\n") + 1
        if whole != len(content):
            stream.truncate(whole)


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of(*parts: object) -> str:
    """SHA-256 of values that msgspec can write, in hexadecimal; dictionaries in key order."""
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()


def sync_folder(folder: Path) -> None:
    """Forces a folder's list of names to the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _records(folder: Path) -> Iterator[FileRecord]:
    """Forces each file to the disk and describes it."""
    for path in sorted(entry for entry in folder.rglob("*") if entry.is_file()):
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
        yield FileRecord(
            name=path.relative_to(folder).as_posix(),
            size_bytes=path.stat().st_size,
            sha256=sha256_file(path),
        )
    for path in (entry for entry in folder.rglob("*") if entry.is_dir()):
        sync_folder(path)


@contextmanager
def _as_ours(path: Path, needed_bytes: int | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise write_error(path, error, needed_bytes) from error


def write_error(path: Path, error: OSError, needed_bytes: int | None) -> YoyakError:
    """The error of ours that says why ``path`` could not be written."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        needed = "?" if needed_bytes is None else f"{needed_bytes:,}"
        return DiskFull("store.disk-full", path=path, needed=needed)
    return CannotWrite("store.cannot-write", path=path, problem=error.strerror or str(error))
