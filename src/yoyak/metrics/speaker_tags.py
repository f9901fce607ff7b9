"""Find speaker and privacy tags such as ``#Person1#`` and ``#PhoneNumber#`` in texts."""

import re
from typing import NamedTuple

TAG = re.compile(r"#[A-Za-z]+\d*#")
"""A tag of the contest: a hash, Latin letters, an optional number, a hash."""


class TagPiece(NamedTuple):
    """A stretch of a text that is either one whole tag or holds none."""

    text: str
    is_tag: bool


def strip(text: str) -> str:
    """Remove the tags; nothing is put in their place."""
    return TAG.sub("", text)


def spaced(text: str) -> str:
    """Put a blank on both sides of every tag, as koBART's decoder writes them."""
    return TAG.sub(r" \g<0> ", text)


def pieces(text: str) -> list[TagPiece]:
    """Cut ``text`` at its tags; the pieces joined are the text."""
    found: list[TagPiece] = []
    end = 0
    for match in TAG.finditer(text):
        found.append(TagPiece(text[end : match.start()], is_tag=False))
        found.append(TagPiece(match.group(), is_tag=True))
        end = match.end()
    found.append(TagPiece(text[end:], is_tag=False))
    return [piece for piece in found if piece.text]
