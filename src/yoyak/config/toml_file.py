"""TOML as people write it: files in UTF-8, with a byte order mark or without."""

import codecs
import json
import re
import tomllib
from pathlib import Path
from typing import Any

from yoyak.errors import BadRecipe, InputMissing

Table = dict[str, Any]

_YAML = re.compile(r"\A(?:\s*#.*\n|\s*\n)*(?:---\s*$|[\w.-]+:(?:\s|$))", re.MULTILINE)
"""A document mark, or a first line ``key: value``, after comments."""


def read_toml(path: Path) -> Table:
    """Read a TOML file.

    Raises:
        BadRecipe: it is not TOML, or in another encoding than UTF-8, which the message names.
        InputMissing: it cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputMissing("config.cannot-read", path=path, problem=error.strerror) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_utf8(path, content, error.start) from error
    if "\0" in text:
        raise _not_utf8(path, content, content.index(0))
    return parse_toml(text, str(path))


def parse_toml(text: str, where: str) -> Table:
    """Parse TOML; ``where`` names its origin in errors.

    Raises:
        BadRecipe: it is not TOML.
    """
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        other = _other_format(text)
        if other is not None:
            raise BadRecipe("config.other-format", path=where, format=other) from error
        raise BadRecipe("config.not-toml", where=where, problem=error) from error


def _other_format(text: str) -> str | None:
    """Return the format that text which is no TOML was written in, if it is a usual one."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return "YAML" if _YAML.search(text) else None
    return "JSON"


def _not_utf8(path: Path, content: bytes, byte: int) -> BadRecipe:
    return BadRecipe("config.not-utf8", path=path, byte=byte, encoding=_encoding(content))


def _encoding(content: bytes) -> str:
    """Return the likely encoding of text that is not UTF-8, by the name ``iconv`` gives it."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in content:
        return "UTF-16"
    try:
        content.decode("cp949")
    except UnicodeDecodeError:
        return "ISO-8859-1"
    return "CP949"
