"""Copy a workspace to a store and back, as snapshots that are there whole or not at all.

::

    URL/objects/<sha256>     the content of a file, written once and never changed
    URL/snapshot.json        which path of the workspace has which content; written last

A store is anything that fsspec writes to (s3, gs, hf, file, …) in which one object appears whole:
object stores do that themselves, a folder by renaming. Nothing else is asked of it, no locks, no
renames, no appends. A snapshot that is being written, or was given up, is not seen; its objects are
taken up by the next.
"""

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec

from yoyak.errors import BadData, InputMissing, Unavailable, YoyakError
from yoyak.files import atomic
from yoyak.files.format import SNAPSHOT, decode_record
from yoyak.values import Value

SNAPSHOT_FILE = "snapshot.json"
KNOWN = ".snapshot.json"
"""In the workspace: the snapshot that it was last written to or read from."""
_LEFT_OUT = frozenset({KNOWN, ".lock", ".cluster.lock", "run.lock"})


class SnapshotFile(Value, frozen=True, kw_only=True):
    """The content of a file."""

    size_bytes: int
    sha256: str


class WorkspaceSnapshot(Value, frozen=True, kw_only=True):
    """The files of a workspace at one moment, by path below it."""

    files: dict[str, SnapshotFile]
    format: int = SNAPSHOT.number

    def __post_init__(self) -> None:
        """Refuse a path that leads out of the workspace: a store may be anybody's."""
        for name in self.files:
            if name.startswith("/") or ".." in Path(name).parts:
                raise ValueError(f"{name} is no path below a workspace")


class SyncResult(NamedTuple):
    """How much of a workspace was copied, and how much was there already."""

    copied: int
    copied_bytes: int
    unchanged: int


def push(workspace: Path, url: str) -> SyncResult:
    """Write a snapshot of the workspace; only contents that the store lacks are sent.

    Raises:
        BadData: the store has a snapshot of another machine that this workspace does not know.
        Unavailable: the store cannot be reached, or its library is missing.
    """
    store = _Store(url)
    there = store.snapshot()
    if there is not None and there != _known(workspace):
        raise BadData("runs.unknown-snapshot", url=url)
    files = {}
    copied = copied_bytes = 0
    for path in _files(workspace):
        try:
            found, is_new = store.add(path)
        except (FileNotFoundError, Unavailable):
            if path.exists():
                raise
            continue  # a run at work has removed it: an old checkpoint
        if is_new:
            copied, copied_bytes = copied + 1, copied_bytes + found.size_bytes
        files[path.relative_to(workspace).as_posix()] = found
    snapshot = WorkspaceSnapshot(files=files)
    store.write(SNAPSHOT_FILE, msgspec.json.encode(snapshot))
    _remember(workspace, snapshot)
    return SyncResult(copied, copied_bytes, len(files) - copied)


def fetch(url: str, workspace: Path) -> SyncResult:
    """Bring a workspace to the store's snapshot; files that the snapshot lacks are kept.

    Raises:
        InputMissing: there is no snapshot.
        BadData: a file was changed here since the last copy, or is damaged or missing in the store.
        Unavailable: as ``push``.
    """
    store = _Store(url)
    snapshot = store.snapshot()
    if snapshot is None:
        raise InputMissing("runs.no-snapshot", url=url)
    known = _known(workspace) or WorkspaceSnapshot(files={})
    wanted = {}
    for name, record in snapshot.files.items():
        path = workspace / name
        here = _record(path) if path.is_file() else None
        if here == record:
            continue
        if here is not None and here != known.files.get(name):
            raise BadData("runs.changed-here", path=path, url=url)
        wanted[path] = record
    for path, record in wanted.items():
        store.get(record, path)
    _remember(workspace, snapshot)
    copied_bytes = sum(record.size_bytes for record in wanted.values())
    return SyncResult(len(wanted), copied_bytes, len(snapshot.files) - len(wanted))


class _Store:
    """The objects below a URL."""

    def __init__(self, url: str) -> None:
        try:
            import fsspec
        except ModuleNotFoundError as error:
            raise Unavailable("runs.no-fsspec", library=error.name) from error
        try:
            self._files, root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise Unavailable("runs.no-store", url=url, problem=error) from error
        self._url = url
        self._root = root.rstrip("/")
        protocols = self._files.protocol
        self._is_local = "file" in ([protocols] if isinstance(protocols, str) else protocols)

    def snapshot(self) -> WorkspaceSnapshot | None:
        """Return the store's snapshot, if there is one."""
        with self._answering():
            try:
                content = self._files.cat_file(f"{self._root}/{SNAPSHOT_FILE}")
            except FileNotFoundError:
                return None
        return _decoded(content, f"{self._url}/{SNAPSHOT_FILE}")

    def add(self, path: Path) -> tuple[SnapshotFile, bool]:
        """Write the content of a file unless it is there; return whether it was written."""
        while True:
            before = path.stat()
            record = _record(path)
            name = f"objects/{record.sha256}"
            with self._answering():
                is_new = not self._files.exists(f"{self._root}/{name}")
            if is_new:
                self.write(name, path)
            after = path.stat()
            if (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns):
                return record, is_new
            if is_new:  # a log that has grown meanwhile: what was written may be more of it
                with self._answering():
                    self._files.rm_file(f"{self._root}/{name}")

    def write(self, name: str, content: bytes | Path) -> None:
        """Write an object, which appears whole."""
        target = f"{self._root}/{name}"
        with self._answering():
            if isinstance(content, Path) and not self._is_local:
                self._files.put_file(str(content), target)
            elif not self._is_local:
                self._files.pipe_file(target, content)
            else:
                stream = io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")
                with stream, atomic.whole_file(Path(target)) as write:
                    for chunk in _chunks(stream):
                        write(chunk)

    def get(self, record: SnapshotFile, path: Path) -> None:
        """Write the content of a record to ``path``, whole, once its hash is that of the record."""
        digest = hashlib.sha256()
        source: Any
        with self._answering():
            try:
                source = self._files.open(f"{self._root}/objects/{record.sha256}", "rb")
            except FileNotFoundError as error:
                raise BadData("runs.damaged-object", path=path, url=self._url) from error
            with source, atomic.whole_file(path, record.size_bytes) as write:
                for chunk in _chunks(source):
                    digest.update(chunk)
                    write(chunk)
                if digest.hexdigest() != record.sha256:
                    raise BadData("runs.damaged-object", path=path, url=self._url)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Turn what the store's library raises into an error that names the store."""
        try:
            yield
        except YoyakError:
            raise
        except Exception as error:
            raise Unavailable("runs.no-store", url=self._url, problem=error) from error


def _files(workspace: Path) -> Iterator[Path]:
    """Yield the files of a workspace, without locks and what killed writers left."""
    for top, folders, files in os.walk(workspace):
        folder = Path(top)
        leftovers = set(atomic.leftovers(folder))
        folders[:] = sorted(name for name in folders if folder / name not in leftovers)
        for name in sorted(files):
            if name not in _LEFT_OUT and folder / name not in leftovers:
                yield folder / name


def _record(path: Path) -> SnapshotFile:
    return SnapshotFile(size_bytes=path.stat().st_size, sha256=atomic.sha256_file(path))


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    while chunk := stream.read(1 << 20):
        yield chunk


def _known(workspace: Path) -> WorkspaceSnapshot | None:
    path = workspace / KNOWN
    return _decoded(path.read_bytes(), str(path)) if path.is_file() else None


def _remember(workspace: Path, snapshot: WorkspaceSnapshot) -> None:
    atomic.write_bytes(workspace / KNOWN, msgspec.json.encode(snapshot))


def _decoded(content: bytes, place: str) -> WorkspaceSnapshot:
    try:
        return decode_record(content, WorkspaceSnapshot, SNAPSHOT, place)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadData("runs.bad-record", path=place, problem=error) from error
