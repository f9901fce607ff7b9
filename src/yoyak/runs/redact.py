"""Keeps secrets out of everything that is written down: by their shape, and by the environment's.

The shapes are those of the services a run may talk to. Whatever a variable called ``…TOKEN`` or
``…SECRET`` holds is hidden wherever it turns up, because a library may print it in an error.
"""

import io
import os
import re
import sys
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from yoyak.events import (
    AnyEvent,
    BackendParityChecked,
    CheckResult,
    Failed,
    PreflightPassed,
    Warned,
)

HIDDEN = "[redacted]"

Said = TypeVar("Said", Warned, CheckResult)

_SECRET_NAME = re.compile(
    r"(?:^|_)(?:\w*TOKEN|\w*KEY|\w*SECRET|PASSW\w*|CREDENTIALS?)(?:_|$)", re.IGNORECASE
)
_PATTERNS = (
    re.compile(r"\bhf_[A-Za-z0-9]{16,}"),
    re.compile(r"\bgh[pousr]_[A-Za-z0-9]{20,}"),
    re.compile(r"\bgithub_pat_[A-Za-z0-9_]{20,}"),
    re.compile(r"\bsk-[A-Za-z0-9_-]{16,}"),
    re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
)
_NAMED = (
    # A 40-digit hexadecimal word alone is as likely a git commit, so it needs its name before it.
    re.compile(r"(?i)((?:wandb|api)[-_ ]?(?:api)?[-_ ]?key\W{1,3})([0-9a-f]{40})\b"),
    re.compile(r"(?i)(aws_secret_access_key\W{1,3})([A-Za-z0-9/+=]{40})"),
    re.compile(r"(?i)(bearer\s+)([\w.~+/-]{16,}=*)"),
    re.compile(r"(?i)(--?[\w-]*(?:token|api[-_]?key|secret|password)[= ])([^\s-]\S*)"),
)
_SECRET_OPTION = re.compile(r"(?i)--?[\w-]*(?:token|api[-_]?key|secret|password)")
_SHORTEST = 8
"""A secret in the environment that is shorter than this is more likely a word like ``none``."""


def redact(text: str) -> str:
    """``text`` without tokens, keys and passwords."""
    for value in secret_values():
        text = text.replace(value, HIDDEN)
    for pattern in _PATTERNS:
        text = pattern.sub(HIDDEN, text)
    for pattern in _NAMED:
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return text


class _Redacting(io.TextIOWrapper):
    """Text whose every write is redacted; a print or a log record is one, so it has it whole."""

    def write(self, said: str) -> int:
        super().write(redact(said))
        return len(said)


def redact_streams() -> None:
    """Redacts whatever this process prints from now on, libraries included."""
    sys.stdout, sys.stderr = (
        _Redacting(
            os.fdopen(number, "wb", closefd=False), "utf-8", "backslashreplace", line_buffering=True
        )
        for number in (1, 2)
    )


def redact_words(words: Iterable[str]) -> tuple[str, ...]:
    """A command line without secrets; one that follows its option is hidden as well."""
    words = tuple(words)
    return tuple(
        HIDDEN if _SECRET_OPTION.fullmatch(before) and not word.startswith("-") else redact(word)
        for before, word in zip(("", *words), words, strict=False)
    )


def redact_event(event: AnyEvent) -> AnyEvent:
    """``event`` with its free text redacted; numbers and names of ours stay as they are."""
    if isinstance(event, Failed):
        return msgspec.structs.replace(
            event, message=redact(event.message), trace=redact(event.trace)
        )
    if isinstance(event, Warned):
        return _with_fields_redacted(event)
    if isinstance(event, PreflightPassed):
        checks = tuple(map(_with_fields_redacted, event.checks))
        return msgspec.structs.replace(event, checks=checks)
    if isinstance(event, BackendParityChecked):
        return msgspec.structs.replace(event, check=_with_fields_redacted(event.check))
    return event


def _with_fields_redacted(said: Said) -> Said:
    fields = {name: redact(value) for name, value in said.fields.items()}
    return msgspec.structs.replace(said, fields=fields)


def secret_values() -> list[str]:
    """What the environment's secrets are, longest first, so that none hides half of another."""
    values = {
        value
        for name, value in os.environ.items()
        if _SECRET_NAME.search(name) and len(value) >= _SHORTEST
    }
    return sorted(values, key=len, reverse=True)
