"""The manifest of a folder (sizes and SHA-256 of its files), and the verification against it."""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import msgspec

from yoyak.errors import BadData
from yoyak.files.format import FOLDER, decode_record
from yoyak.values import Value

MANIFEST = "manifest.json"
MARKER = ".yoyak"
"""A folder that holds a file of this name was made by us, and only such a folder is removed."""


class FileRecord(Value, frozen=True, kw_only=True):
    """One file of a whole folder; ``name`` is its path below the folder, with slashes."""

    name: str
    size_bytes: int
    sha256: str


class Manifest(Value, frozen=True, kw_only=True):
    """The files of a folder, the notes of its writer, and ``seal``: the SHA-256 of both.

    From format 2 on, the seal covers the format number too, so that a damaged number is told from a
    newer version's.
    """

    files: tuple[FileRecord, ...]
    notes: dict[str, str]
    seal: str
    format: int = FOLDER.number

    @classmethod
    def sealed(cls, files: tuple[FileRecord, ...], notes: dict[str, str]) -> Self:
        """Return a manifest of ``files`` and ``notes`` with their seal."""
        return cls(files=files, notes=notes, seal=sha256_of(files, notes))

    @property
    def size_bytes(self) -> int:
        """The size of all files together."""
        return sum(file.size_bytes for file in self.files)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of names and contents: equal for equal folders, whatever was noted."""
        return sha256_of([(file.name, file.sha256) for file in self.files])


def read_manifest(path: Path) -> Manifest | None:
    """Return the manifest without checking the files; ``None`` if it is missing or damaged.

    Raises:
        BadData: a newer version wrote it.
    """
    file = path / MANIFEST
    try:
        content = file.read_bytes()
        try:
            found = decode_record(content, Manifest, FOLDER, file)
        except BadData:
            if _is_sealed(msgspec.json.decode(content)):
                return None  # everything but the number is as this version wrote it
            raise
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found if found == Manifest.sealed(found.files, found.notes) else None


def _is_sealed(record: dict[str, Any]) -> bool:
    """Return whether files and notes of a manifest have the seal that this version gives them."""
    return record.get("seal") == sha256_of(record.get("files"), record.get("notes"))


def verify_folder(path: Path) -> Manifest | None:
    """Return the manifest if the folder holds exactly the files that were written, else ``None``.

    Every byte is read. An additional file fails as a missing one does: loaders look for names.
    """
    manifest = read_manifest(path)
    if manifest is None:
        return None
    written = {record.name: record for record in manifest.files}
    found = {each.relative_to(path).as_posix(): each for each in _contents(path)}
    if found.keys() != written.keys():
        return None
    whole = all(_is_as_written(found[name], record) for name, record in written.items())
    return manifest if whole else None


def is_ours(path: Path) -> bool:
    """Return whether ``path`` is a folder, not a link, with our marker or a manifest of ours."""
    if path.is_symlink() or not path.is_dir():
        return False
    return (path / MARKER).is_file() or read_manifest(path) is not None


def _contents(folder: Path) -> list[Path]:
    own = {folder / MANIFEST, folder / MARKER}
    return [path for path in sorted(folder.rglob("*")) if path not in own and not _is_folder(path)]


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def records(folder: Path) -> Iterator[FileRecord]:
    """Fsync each file and yield its record."""
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
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of(*parts: object) -> str:
    """Return the SHA-256 of JSON-encodable values, in hexadecimal; dictionaries in key order."""
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()


def sync_folder(folder: Path) -> None:
    """Fsync a folder, so that its list of names is on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
