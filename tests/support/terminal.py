"""What a terminal shows, as text, and how many columns it takes."""

import io
import unicodedata
from collections.abc import Callable, Iterable

import pytest

from yoyak.report.sections.blocks import Block
from yoyak.terminal.render import console, render


def columns(line: str) -> int:
    """Return the columns of a line by Unicode's East Asian Width (UAX 11): wide ones are two."""
    return sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in line)


@pytest.fixture
def drawn() -> Callable[..., str]:
    """Draw blocks as a file or a terminal without colour of that width gets them."""

    def draw(blocks: Iterable[Block], width: int = 80) -> str:
        stream = io.StringIO()
        console(stream, width=width).print(render(blocks))
        return stream.getvalue()

    return draw


@pytest.fixture
def columns_of() -> Callable[[str], int]:
    """The function ``columns``."""
    return columns
