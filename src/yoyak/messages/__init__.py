"""Every sentence a person reads, in Korean and English, looked up by ``file.key``.

There is one folder per language and one TOML file per topic: ``messages/ko/data.toml`` holds
``data.*``. Both languages hold the same keys and the same ``{placeholders}``
(tests/contract/test_catalogue.py). A placeholder can choose the word after its value:
``{name:은}`` is followed by the particle that fits (``yoyak.korean``), ``{name:~은}`` is that
particle alone, and ``{count:run/runs}`` is followed by the noun. Every error uses this package: it
imports nothing else of yoyak.
"""

import os
import re
import string
import tomllib
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from importlib.resources import files
from typing import Literal, get_args

from yoyak.korean import particle

Language = Literal["ko", "en"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

FORMER_FILES: Mapping[str, tuple[str, ...]] = {
    "final": ("submission",),
    "queue": ("scheduler", "system", "planning", "report"),
    "recipe": ("config",),
    "score": ("metrics",),
    "store": ("runs",),
}
"""Where the sentences of former files stand now: records of earlier versions hold such keys."""

_chosen: ContextVar[Language | None] = ContextVar("yoyak_language", default=None)


def language() -> Language:
    """Return the language in use: ``--lang``, else YOYAK_LANG, else the locale, else English."""
    chosen = _chosen.get()
    if chosen is not None:
        return chosen
    for name in ("YOYAK_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name, "")
        if value:
            return "ko" if value.lower().startswith("ko") else "en"
    return "en"


@contextmanager
def speaking(chosen: Language | None) -> Iterator[None]:
    """Use ``chosen`` inside the block; ``None`` leaves the choice to the environment."""
    token = _chosen.set(chosen)
    try:
        yield
    finally:
        _chosen.reset(token)


@cache
def _sentences(chosen: Language, file: str) -> dict[str, str]:
    text = (files(__package__) / chosen / f"{file}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def sentences(file: str, language: Language) -> dict[str, str]:
    """Return all sentences of a file in a language, with their placeholders."""
    return dict(_sentences(language, file))


def text(key: str, /, **fields: object) -> str:
    """Return the sentence of ``file.key`` in the language in use, its placeholders filled in.

    Raises:
        KeyError: the catalogue has no such key, or a placeholder got no value.
    """
    return fill(key, fields)


def fill(key: str, fields: Mapping[str, object]) -> str:
    """Do as ``text`` for fields that are already a mapping."""
    file, _, name = key.partition(".")
    return _Agreement().vformat(_sentences(language(), file)[name], (), fields)


class _Agreement(string.Formatter):
    """Fill placeholders so that the words after them agree with the values."""

    def format_field(self, value: object, format_spec: str) -> str:
        singular, slash, plural = format_spec.partition("/")
        if slash:
            return f"{value} {singular if str(value) == '1' else plural}"
        form = format_spec.removeprefix("~")
        if not "가" <= form[:1] <= "힣":
            return format(value, format_spec)
        chosen = particle(str(value), form)
        return chosen if form != format_spec else f"{value}{chosen}"


def recorded(key: str, fields: Mapping[str, object]) -> str:
    """Return the sentence of a key that was read from a record, whichever version wrote it.

    Keys of earlier versions are looked up where their sentences stand now. A key that this
    version does not know, or whose fields do not fit, is returned as it is with its fields.
    """
    file, _, name = key.partition(".")
    for current in FORMER_FILES.get(file, (file,)):
        if current.isidentifier():  # a record may hold anything, and this becomes a path
            with suppress(LookupError, ValueError, AttributeError, FileNotFoundError):
                return fill(f"{current}.{name}", fields)
    shown = ", ".join(f"{field}={value}" for field, value in fields.items())
    return f"{key} ({shown})" if shown else key


def listed(items: Collection[object], limit: int = 10) -> str:
    """Join ``items`` by commas, at most ``limit`` of them and then how many more there are."""
    shown = ", ".join(str(item) for item, _ in zip(items, range(limit), strict=False))
    return f"{shown}, … (+{len(items) - limit})" if len(items) > limit else shown


def visible(text: str) -> str:
    """Quote ``text`` as ``repr`` does, with lookalike characters escaped too.

    Escaped besides what ``repr`` escapes: full-width and half-width forms, Greek and Cyrillic
    letters, dashes, and text that is not in NFC, which look the same as other characters.
    """
    is_composed = unicodedata.is_normalized("NFC", text)
    alike = r"[\u0370-\u052f\u2010-\u2015\uff00-\uffef]" if is_composed else r"[^\0-\x7f]"
    return re.sub(alike, _escaped, repr(text))


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()
