"""Keeps secrets out of everything that is written down."""

import os
import re
from collections.abc import Iterable

HIDDEN = "[redacted]"

_SECRET_NAME = re.compile(r"TOKEN|KEY|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)
_PATTERNS = (
    re.compile(r"\bhf_[A-Za-z0-9]{16,}"),
    re.compile(r"\b(?:ghp|gho|ghu|ghs|ghr)_[A-Za-z0-9]{20,}"),
    re.compile(r"\bgithub_pat_[A-Za-z0-9_]{20,}"),
    re.compile(r"\bsk-[A-Za-z0-9_-]{16,}"),
    re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
)
_WANDB = re.compile(r"(?i)((?:wandb|api)[-_ ]?(?:api)?[-_ ]?key\W{1,3})([0-9a-f]{40})\b")
_ASSIGNED = re.compile(r"(?i)(--?[\w-]*(?:token|key|secret|password)[\w-]*[= ])(\S+)")
_SHORTEST = 8
"""A secret in the environment that is shorter than this is more likely a word like ``none``."""


def redact(text: str) -> str:
    """``text`` without tokens, keys and passwords: by their shape, and by the environment's own."""
    for value in _secret_values():
        text = text.replace(value, HIDDEN)
    for pattern in _PATTERNS:
        text = pattern.sub(HIDDEN, text)
    text = _WANDB.sub(rf"\1{HIDDEN}", text)
    return _ASSIGNED.sub(rf"\1{HIDDEN}", text)


def redact_words(words: Iterable[str]) -> tuple[str, ...]:
    """A command line without secrets; one that follows its option is hidden as well."""
    return tuple(redact(" ".join(words)).split(" "))


def _secret_values() -> list[str]:
    values = {
        value
        for name, value in os.environ.items()
        if _SECRET_NAME.search(name) and len(value) >= _SHORTEST
    }
    return sorted(values, key=len, reverse=True)
