"""Remove secrets from everything that is written: known token shapes, and values of variables.

The shapes are those of services that a run may talk to. The value of a variable called
``…TOKEN``, ``…KEY``, ``…SECRET`` or ``…PASSWORD`` is removed wherever it appears, because a library
may print it in an error.

Every pattern is bounded, or starts only where a word starts, so that the time is linear in the
length of the text. ``re.ASCII`` lets a word end next to a Hangul letter.
"""

import io
import json
import os
import re
import sys
from collections.abc import Iterable
from typing import TypeVar
from urllib.parse import quote

import msgspec

from yoyak.events import (
    AnyEvent,
    BackendParityChecked,
    CheckResult,
    DataAudited,
    DataFinding,
    Failed,
    PreflightCheck,
    PreflightPassed,
    Warned,
)

HIDDEN = "[redacted]"

WithFields = TypeVar("WithFields", Warned, CheckResult, DataFinding)

_SECRET_VARIABLE = re.compile(
    r"(?:^|_)(?:\w*TOKEN|\w*KEY|\w*SECRET|\w*PASSW\w*|\w*PASSPHRASE|\w*PASS|CREDENTIALS?)(?:_|$)"
    r"|(?:^|_)AUTH$|._PWD$",
    re.IGNORECASE,
)

_TOKEN = re.compile(
    r"""\b(?:
      hf_[A-Za-z0-9]{16,} | api_org_[A-Za-z0-9]{16,}              # Hugging Face
    | gh[pousr]_[A-Za-z0-9]{20,} | github_pat_\w{20,}             # GitHub
    | gl(?:pat|dt|rt|ptt|cbt|ft|soat|agent)-[\w-]{16,}            # GitLab
    | AIza[\w-]{30,} | ya29\.[\w-]{20,} | GOCSPX-[\w-]{20,}      # Google
    | xox[abeoprs]-[\w-]{10,} | xapp-[\w-]{10,}                  # Slack
    | npm_[A-Za-z0-9]{30,}
    | pypi-[\w-]{16,}
    | dckr_pat_[\w-]{16,}
    | sk-[\w-]{16,} | [sr]k_(?:live|test)_\w{16,}                # model services, Stripe
    | (?:AKIA|ASIA)[A-Z0-9]{16}\b                                # AWS
    | wandb_v\d_\w{20,}                                          # Weights & Biases
    )""",
    re.ASCII | re.VERBOSE,
)
_JWT = re.compile(r"(?<![\w-])eyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?", re.ASCII)
_PEM = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
_PATTERNS = (
    _TOKEN,
    _JWT,
    _PEM,
    re.compile(r"(?<=://)[^/\s:@]{0,256}:[^/\s@]{1,256}(?=@)"),
    re.compile(r"(?<=hooks\.slack\.com/services/)[\w/]{16,}", re.ASCII),
)

_NAME = r"(?:token|api[-_]?key|secret|password|passwd|passphrase)"
_QUOTE = r"""(?:\\{0,4}["'])?"""
"""A quotation mark, also one that is escaped inside of JSON in JSON."""
_VALUE = r"""(?!\[redacted)[^\s"'&,;\\]{4,512}"""
_NAMED = tuple(
    re.compile(pattern, re.ASCII | re.IGNORECASE)
    for pattern in (
        # A 40-digit hexadecimal word alone is as likely a git commit, so it needs a name before it.
        r"((?:wandb|api)[-_ ]?(?:api)?[-_ ]?key\W{1,3})([0-9a-f]{40})\b",
        r"(\blogin\s{1,4}\S{1,100}\s{1,4}password\s{1,4})(\S{4,512})",  # a line of .netrc
        r"(\bbearer\s{1,8})([\w.~+/-]{16,}=*)",
        r"(\bauthorization\W{1,6}basic\s{1,8})([A-Za-z0-9+/]{4,}=*)",
        rf"((?<![\w-])--?[\w-]{{0,64}}{_NAME}[= ])([^\s-]\S*)",
        # password=…, "access_token": "…", DB_PASSWORD: …
        r"(?<![A-Za-z])((?:password|passwd|passphrase|pwd|(?:client|app|consumer)[-_]?secret"
        r"|secret[-_]?(?:access[-_]?)?key|(?:access|refresh|auth|id|session|bot)[-_]?token"
        rf"|(?:api|private|account)[-_]?key){_QUOTE}\s{{0,3}}[=:]\s{{0,3}}{_QUOTE})({_VALUE})",
    )
)
_SECRET_OPTION = re.compile(rf"(?i)--?[\w-]{{0,64}}{_NAME}")
_SHORTEST = 8
"""A value of a secret variable that is shorter than this is more likely a word like ``none``."""


def redact(text: str) -> str:
    """Return ``text`` without tokens, keys and passwords."""
    for value in secret_values():
        text = text.replace(value, HIDDEN)
    for pattern in _PATTERNS:
        text = pattern.sub(HIDDEN, text)
    for pattern in _NAMED:
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return text


def secret_line(text: str) -> int | None:
    """Return the number of the first line that ``redact`` would change, counted from 1."""
    lines = enumerate(text.splitlines(), 1)
    return next((number for number, line in lines if redact(line) != line), None)


class _RedactedStream(io.TextIOWrapper):
    """A text stream that redacts each write; a print or a log record is one write."""

    def write(self, text: str) -> int:
        super().write(redact(text))
        return len(text)


def redact_streams() -> None:
    """Redact what this process prints from now on, libraries included."""
    sys.stdout, sys.stderr = (
        _RedactedStream(
            os.fdopen(number, "wb", closefd=False), "utf-8", "backslashreplace", line_buffering=True
        )
        for number in (1, 2)
    )


def redact_words(words: Iterable[str]) -> tuple[str, ...]:
    """Return the words of a command line without secrets, also the word after a secret's option."""
    words = tuple(words)
    return tuple(
        HIDDEN if _SECRET_OPTION.fullmatch(before) and not word.startswith("-") else redact(word)
        for before, word in zip(("", *words), words, strict=False)
    )


def redact_event(event: AnyEvent) -> AnyEvent:
    """Return ``event`` with its free text redacted; numbers and our own names are left alone."""
    if isinstance(event, Failed):
        reason = None if event.reason is None else event.reason.redacted(redact)
        message, trace = redact(event.message), redact(event.trace)
        return msgspec.structs.replace(event, message=message, trace=trace, reason=reason)
    if isinstance(event, Warned):
        return _with_fields_redacted(event)
    if isinstance(event, DataAudited):
        findings = tuple(map(_with_fields_redacted, event.findings))
        return msgspec.structs.replace(event, findings=findings)
    if isinstance(event, PreflightPassed):
        checks = tuple(map(_with_fields_redacted, event.checks))
        return msgspec.structs.replace(event, checks=checks)
    if isinstance(event, PreflightCheck | BackendParityChecked):
        return msgspec.structs.replace(event, check=_with_fields_redacted(event.check))
    return event


def _with_fields_redacted(sentence: WithFields) -> WithFields:
    fields = {name: redact(value) for name, value in sentence.fields.items()}
    return msgspec.structs.replace(sentence, fields=fields)


def secret_values() -> list[str]:
    """Return the values of the environment's secrets, as they are and as JSON and URLs write them.

    The longest come first, so that none hides half of another.
    """
    values: set[str] = set()
    for name, value in os.environ.items():
        if _SECRET_VARIABLE.search(name) and len(value) >= _SHORTEST:
            printable = value.encode("utf-8", "replace").decode()
            escaped = (json.dumps(printable, ensure_ascii=ascii)[1:-1] for ascii in (True, False))
            values |= {value, *escaped, quote(printable, safe="")}
    return sorted(values, key=len, reverse=True)
