"""The verb help: pages of the documentation in the terminal, and the help of another verb."""

import os
import re
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Annotated, NamedTuple

import typer

from yoyak.config.setting_info import docs_folder
from yoyak.errors import UsageError
from yoyak.messages import language, text


class Topic(NamedTuple):
    """A page of the documentation, or the sections of it whose headings match ``section``.

    The pattern fits the headings of every language.
    """

    page: str
    section: str | None = None


TOPICS = {
    "install": Topic("install"),
    "data": Topic("data-formats"),
    "settings": Topic("reference/settings"),
    "decoding": Topic("reference/settings", r"`decode\b.*`"),
    "metric": Topic("metrics"),
    "python": Topic("python-api"),
    "files": Topic("reference/files"),
    "events": Topic("reference/events"),
    "exit-codes": Topic("reference/commands", "Exit codes|종료 코드"),
}


def help_(
    topic: Annotated[
        str | None, typer.Argument(help=text("cli.argument-topic"), show_default=False)
    ] = None,
) -> None:
    """Show a topic of the documentation, the help of a verb, or the list of topics."""
    from yoyak.cli.app import ALIASES, VERBS, app

    if topic is None:
        width = max(map(len, TOPICS))
        for name in TOPICS:
            print(f"{name:<{width}}  {_title(name)}")
        print("", text("cli.help-more"), sep="\n")
    elif topic in VERBS or topic in ALIASES:
        app([topic, "--help"], prog_name="yoyak")
    elif topic in TOPICS:
        _show(read(topic))
    else:
        near = get_close_matches(topic, (*TOPICS, *VERBS), n=1)
        known = ", ".join(near or TOPICS)
        raise UsageError("cli.unknown-topic", topic=topic, known=known)


def read(name: str) -> str:
    """Return the Markdown of a topic in the language in use, English where no other exists.

    What is written for programs (HTML comments) is left out.
    """
    section, page = TOPICS[name].section, _page(name)
    return page if section is None else "\n".join(_sections(page, section))


def _page(name: str) -> str:
    suffix = "" if language() == "en" else f".{language()}"
    page = docs_folder() / f"{TOPICS[name].page}{suffix}.md"
    if not page.is_file():
        page = docs_folder() / f"{TOPICS[name].page}.md"
    return re.sub(r"<!--.*?-->\n?", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def _sections(page: str, heading: str) -> Iterator[str]:
    """Yield each section, up to the next heading of its level or above."""
    for found in re.finditer(rf"^(#+) (?:{heading})$", page, re.MULTILINE):
        rest = page[found.end() :]
        after = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
        yield found[0] + (rest if after is None else rest[: after.start()])


def _title(name: str) -> str:
    """Return the title of a topic's page, and the heading of its first section after a colon."""
    pages = [_page(name)] + ([read(name)] if TOPICS[name].section else [])
    first = (page.lstrip().split("\n", 1)[0] for page in pages)
    return ": ".join(re.sub(r"[#`]| \(.*", "", line).strip() for line in first)


def _show(page: str) -> None:
    """Print Markdown as it is, or rendered in a pager where a person reads it."""
    if not sys.stdout.isatty():
        print(page.strip())
        return
    from rich.console import Console
    from rich.markdown import Markdown

    os.environ.setdefault("LESS", "-RFX")
    console = Console()
    with console.pager(styles=True):
        console.print(Markdown(page))
