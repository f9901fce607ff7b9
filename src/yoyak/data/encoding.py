"""Decode UTF-8; for anything else the error names the encoding that the bytes seem to have."""

import re
import shlex
from pathlib import Path

from yoyak.errors import BadData

_HANGUL = re.compile("[가-힣]")
_FOREIGN = re.compile(r"[^\W\d_a-zA-Z]")


def decode(path: Path, content: bytes, *, first_line: int = 1) -> str:
    """Decode the content of a file as UTF-8; a byte order mark is accepted and left out.

    ``first_line`` is the number of the line that the content begins with.

    Raises:
        BadData: it is not UTF-8, or ends inside a character.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _undecodable(path, content, error, first_line) from error
    if "\0" in text and (encoding := looks_like(content)):
        raise _looks(path, encoding, text.count("\n", 0, text.index("\0")) + first_line)
    return text


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


def _undecodable(path: Path, content: bytes, error: UnicodeDecodeError, first_line: int) -> BadData:
    line = content.count(b"\n", 0, error.start) + first_line
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
