"""The documents that users read, taken apart: fences, headings, and which page is whose."""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
# Records of a past run, and decisions: in English, and no pages of the site's navigation.
APART = ("adr", "example")

FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#{1,6}) (.+)$", re.MULTILINE)
TITLE = re.compile(r'title="([^"]*)"')


class Fence(NamedTuple):
    """A fenced block. A title of an ``sh`` block is the reason why the tests do not run it."""

    language: str
    title: str | None
    body: str


@cache
def fences(path: Path) -> tuple[Fence, ...]:
    """The fenced blocks of a document, in order."""
    found = FENCE.findall(path.read_text("utf-8"))
    return tuple(
        Fence(info.split(" ")[0], title[1] if (title := TITLE.search(info)) else None, body)
        for info, body in found
    )


def levels(path: Path) -> list[int]:
    """The level of each heading outside fences, in order."""
    return [len(marks) for marks, _ in HEADING.findall(FENCE.sub("", path.read_text("utf-8")))]


def pages() -> list[Path]:
    """The English pages of the site."""
    found = (path.relative_to(DOCS) for path in DOCS.rglob("*.md"))
    return sorted(
        DOCS / one for one in found if one.parts[0] not in APART and ".ko" not in one.name
    )


def korean(page: Path) -> Path:
    """The Korean page of an English one."""
    return page.with_suffix(".ko.md")
