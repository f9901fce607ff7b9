"""Every sentence a person reads, in Korean and English, looked up by ``room.key``.

One folder a language, one TOML file a room: ``messages/ko/data.toml`` holds ``data.*``. Both
languages hold the same keys and the same ``{placeholders}``; a contract test compares them.
This is the lowest room of the house because an error of any room must be able to speak.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.resources import files
from typing import Literal, get_args

Language = Literal["ko", "en"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

_chosen: ContextVar[Language | None] = ContextVar("yoyak_language", default=None)


def language() -> Language:
    """The language to speak: ``--lang``, else YOYAK_LANG, else the locale, else English."""
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
    """Speaks ``chosen`` inside the block; ``None`` leaves the choice to the environment."""
    token = _chosen.set(chosen)
    try:
        yield
    finally:
        _chosen.reset(token)


@cache
def _room(chosen: Language, room: str) -> dict[str, str]:
    text = (files(__package__) / chosen / f"{room}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def text(key: str, /, **fields: object) -> str:
    """The sentence of ``room.key`` in the chosen language, its placeholders filled in.

    Raises:
        KeyError: the catalogue has no such key, or a placeholder got no value.
    """
    return fill(key, fields)


def fill(key: str, fields: Mapping[str, object]) -> str:
    """As ``text``, for fields that are already a mapping."""
    room, _, name = key.partition(".")
    return _room(language(), room)[name].format_map(fields)
