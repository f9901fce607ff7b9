"""Escape untrusted text from models and users for each output format.

HTML is escaped by Jinja's autoescape; apply ``plain`` before it.
"""

import re
import unicodedata

_BIDIRECTIONAL = frozenset(
    map(chr, (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)))
)
"""Characters that reorder or mirror the text after them (Boucher & Anderson 2021)."""

_UNUSUAL = re.compile("[^ -~가-힣]")
"""Characters that have to be looked at: all but visible ASCII, the space and Hangul syllables."""

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|!~&$@^]|:(?=//|[a-z0-9_+-]+:))", re.IGNORECASE)
_LIST_OR_RULE = re.compile(r"^(\s*)([-+=]|\d+(?=[.)](?:\s|$)))")
_WWW = re.compile(r"\bwww\.", re.IGNORECASE)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def plain(text: str) -> str:
    """Return ``text`` on one line, without control codes, direction marks or lone surrogates.

    Each run of whitespace becomes one space; all visible characters are kept.
    """
    return " ".join(_UNUSUAL.sub(_visible, text).split())


def printable(text: str) -> str:
    """Return ``text`` with line breaks and whitespace, but without what ``plain`` removes."""
    return "\n".join(_UNUSUAL.sub(_visible, line) for line in text.split("\n"))


def _visible(match: re.Match[str]) -> str:
    character = match.group()
    category = unicodedata.category(character)
    if category in {"Zs", "Zl", "Zp"} or character in "\t\n\v\f\r\x85":
        return " "
    if category == "Cc" or character in _BIDIRECTIONAL:
        return ""
    return "\ufffd" if category == "Cs" else character


def markdown(text: str) -> str:
    r"""Return ``text`` escaped to appear literally in a Markdown sentence or table cell.

    Every special character of CommonMark and GitHub's extensions (tables, autolinks, mentions,
    mathematics) gets a backslash, and so does ``www.``, which GitHub links automatically.
    """
    escaped = _MARKDOWN.sub(r"\\\1", plain(text))
    escaped = _WWW.sub(lambda match: match.group()[:-1] + r"\.", escaped)
    return _LIST_OR_RULE.sub(_not_a_list, escaped)


def _not_a_list(match: re.Match[str]) -> str:
    blank, mark = match.groups()
    return f"{blank}{mark}\\" if mark.isdigit() else f"{blank}\\{mark}"


def csv_cell(text: str) -> str:
    """Return ``text`` as a spreadsheet cell, with a leading formula character neutralised (OWASP).

    Do not use it for submissions, which must be byte-exact.
    """
    return f"'{text}" if text.startswith(_FORMULA) else text
