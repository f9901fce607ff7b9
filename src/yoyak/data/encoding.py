"""Decode files as UTF-8; for anything else the error names the encoding the file seems to have."""

import re
import shlex
from pathlib import Path

from yoyak.errors import BadData, InputMissing

_HANGUL = re.compile("[가-힣]")
_FOREIGN = re.compile(r"[^\W\d_a-zA-Z]")


def text_of(path: Path) -> str:
    """Return the text of a UTF-8 file; a byte order mark is accepted and left out.

    Raises:
        InputMissing: there is no such file, or it cannot be read.
        BadData: the file is not UTF-8, or ends inside a character.
    """
    try:
        content = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise InputMissing("data.no-file", file=path) from error
    except OSError as error:
        raise InputMissing("data.unreadable", file=path, problem=error.strerror) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _undecodable(path, content, error) from error


def nul_error(path: Path, text: str, row: int, line: int) -> BadData:
    """Return the error for a NUL character in ``text``, which was decoded as UTF-8."""
    encoding = looks_like(text.encode())
    if encoding is None:
        return BadData("data.nul", file=path, row=row, line=line)
    return _looks(path, encoding, line)


def looks_like(content: bytes) -> str | None:
    """Return the usual name of the encoding that non-UTF-8 bytes seem to have, or ``None``."""
    for mark, name in ((b"\xff\xfe\0\0", "UTF-32"), (b"\0\0\xfe\xff", "UTF-32")):
        if content.startswith(mark):
            return name
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16"
    # ASCII in UTF-16 is every second byte NUL; Korean text has tags, digits and line breaks.
    for name, first in (("UTF-16LE", 1), ("UTF-16BE", 0)):
        half = content[first::2]
        if half.count(0) > len(half) / 20 and _decodes_to_words(content, name):
            return name
    return "CP949" if _decodes_to_words(content, "cp949") else None


def _decodes_to_words(content: bytes, encoding: str) -> bool:
    """Return whether the decoded non-ASCII letters are Hangul: UTF-8 as cp949 is mostly hanja."""
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return "\0" not in text and len(_HANGUL.findall(text)) >= 0.8 * len(_FOREIGN.findall(text))


def _undecodable(path: Path, content: bytes, error: UnicodeDecodeError) -> BadData:
    line = content.count(b"\n", 0, error.start) + 1
    if error.end == len(content) and error.reason == "unexpected end of data":
        return BadData("data.cut-character", file=path, line=line)
    encoding = looks_like(content)
    if encoding is None:
        return BadData("data.not-utf8", file=path, line=line, byte=f"0x{content[error.start]:02X}")
    return _looks(path, encoding, line)


def _looks(path: Path, encoding: str, line: int) -> BadData:
    command = f"iconv -f {encoding} -t UTF-8 {shlex.quote(str(path))}"
    target = shlex.quote(str(path.with_suffix(f".utf8{path.suffix}")))
    return BadData(
        "data.looks-like",
        file=path,
        line=line,
        encoding=encoding.lower(),
        command=f"{command} > {target}",
    )
