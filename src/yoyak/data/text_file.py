"""Read any path that a user names as text: the one boundary for data, predictions and references.

A file that is no text is named for what it is (Excel, ZIP, a Git LFS pointer, a folder), with the
command that makes it readable. A pipe is read once and kept, because it cannot be read again.
"""

import hashlib
import io
import shlex
import stat
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from yoyak.data.encoding import decode
from yoyak.errors import BadData, InputMissing
from yoyak.messages import listed


class _Signature(NamedTuple):
    """How a format that is no data text begins; ``command`` makes the file readable."""

    start: bytes
    kind: str
    key: str
    command: str = ""


_TO_JSONL = (
    'python -c "import pandas, sys; pandas.{}(sys.argv[1]).to_json(sys.argv[2], '
    "orient='records', lines=True, force_ascii=False)\" {{file}} {{jsonl}}"
)

ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
"""How an archive begins. What is in it stands at its end: naming it takes the whole file."""

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_WORKBOOKS = tuple(name.encode("utf-16-le") for name in ("Workbook", "Book"))
"""Names of the part of an OLE container that makes it an Excel workbook."""

_SIGNATURES = (
    _Signature(b"\x1f\x8b", "gzip", "data.compressed", "gzip -dc {file} > {unpacked}"),
    _Signature(b"BZh", "bzip2", "data.compressed", "bzip2 -dc {file} > {unpacked}"),
    _Signature(b"\xfd7zXZ\0", "xz", "data.compressed", "xz -dc {file} > {unpacked}"),
    _Signature(b"\x28\xb5\x2f\xfd", "zstd", "data.compressed", "zstd -dc {file} > {unpacked}"),
    _Signature(b"7z\xbc\xaf\x27\x1c", "7-Zip", "data.compressed", "7z x {file}"),
    _Signature(b"PAR1", "Parquet", "data.binary-table", _TO_JSONL.format("read_parquet")),
    _Signature(b"ARROW1", "Feather", "data.binary-table", _TO_JSONL.format("read_feather")),
    _Signature(_OLE, "HWP, Word or other Office", "data.binary"),
    _Signature(b"HWP Document File", "HWP", "data.binary"),
    _Signature(b"\x89PNG", "PNG", "data.binary"),
    _Signature(b"\xff\xd8\xff", "JPEG", "data.binary"),
    _Signature(b"%PDF", "PDF", "data.binary"),
    _Signature(b"SQLite format 3\0", "SQLite", "data.binary"),
    _Signature(b"\x80\x04\x95", "pickle", "data.binary"),
    _Signature(
        b"version https://git-lfs.github.com/spec/", "Git LFS", "data.pointer", "git lfs pull"
    ),
    _Signature(b"/annex/objects/", "git-annex", "data.pointer", "git annex get {file}"),
    _Signature(b"<!doctype html", "HTML", "data.web-page"),
    _Signature(b"<html", "HTML", "data.web-page"),
)


class TextFile(NamedTuple):
    """The text of a file without its byte order mark, and the SHA-256 of the bytes as read."""

    path: Path
    text: str
    sha256: str


def read_text_file(path: Path) -> TextFile:
    """Read a file or a pipe of UTF-8 text that holds more than blanks.

    Raises:
        InputMissing: there is no such file, or it cannot be read.
        BadData: it is a folder or device, empty, no text, or in another encoding.
    """
    content = _content(path)
    refuse_other_formats(path, content)
    text = decode(path, content)
    if not text.strip():
        raise BadData("data.empty-file", file=path)
    return TextFile(path, text, hashlib.sha256(content).hexdigest())


def _content(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        if stat.S_ISFIFO(mode):
            return _pipe_content(path)
        if stat.S_ISDIR(mode):
            names = sorted(one.name for one in path.iterdir())
            raise InputMissing("data.is-folder", file=path, names=listed(names) or "–")
        if not stat.S_ISREG(mode):
            raise BadData("data.is-device", file=path)
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputMissing("data.no-file", file=path) from error
    except OSError as error:
        raise InputMissing("data.unreadable", file=path, problem=error.strerror) from error


@lru_cache(maxsize=16)
def _pipe_content(path: Path) -> bytes:
    return path.read_bytes()


def refuse_other_formats(path: Path, content: bytes) -> None:
    """Raise BadData for a known format that is not text, and for text that stands for a file."""
    if content.startswith(ZIP_STARTS):
        raise _archive(path, content)
    if content.startswith(_OLE) and any(name in content for name in _WORKBOOKS):
        raise BadData("data.excel", file=path)
    start = content[:200]
    markup = start.lstrip().lower()
    for one in _SIGNATURES:
        if start.startswith(one.start) or markup.startswith(one.start):
            raise BadData(one.key, file=path, kind=one.kind, command=_command(one, path))


def _command(signature: _Signature, path: Path) -> str:
    compressed = path.suffix in {".gz", ".bz2", ".xz", ".zst"}
    unpacked = path.with_suffix("" if compressed else f".unpacked{path.suffix}")
    paths = {"file": path, "unpacked": unpacked, "jsonl": path.with_suffix(".jsonl")}
    quoted = {name: shlex.quote(str(one)) for name, one in paths.items()}
    return signature.command.format_map(quoted)


def _archive(path: Path, content: bytes) -> BadData:
    file = shlex.quote(str(path))
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [one.filename for one in archive.infolist() if not one.is_dir()]
    except (zipfile.BadZipFile, NotImplementedError):
        return BadData("data.broken-archive", file=path, command=f"unzip -t {file}")
    if "xl/workbook.xml" in names or "xl/workbook.bin" in names:
        return BadData("data.excel", file=path)
    command = f"unzip {file} -d {shlex.quote(str(path.with_suffix('')) + '-files')}"
    return BadData("data.archive", file=path, names=listed(names) or "–", command=command)
