"""The site has the same pages in English and Korean, with the same structure and code."""

import re

import pytest

from support.documents import DOCS, fences, korean, levels, pages


def test_every_page_is_there_in_both_languages():
    assert [str(page) for page in pages() if not korean(page).is_file()] == []
    alone = [path for path in DOCS.rglob("*.ko.md") if "example" not in path.parts]
    assert [
        str(one) for one in alone if not one.with_name(one.name.replace(".ko", "")).exists()
    ] == []
    assert len(pages()) > 30


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_both_languages_have_the_same_headings_code_and_tables(page):
    assert levels(page) == levels(korean(page))
    assert _code(page) == _code(korean(page))
    assert _tables(page) == _tables(korean(page))


def _code(page):
    """Language and text of each block without its comments, and whether it has a title."""
    return [
        (one.language, one.title is None, re.sub(r"\s*# .*$", "", one.body, flags=re.MULTILINE))
        for one in fences(page)
        if one.language != "console"  # what a program prints is in the reader's language
    ]


def _tables(page):
    """Columns and measured figures of each row of each table; small whole numbers may be words."""
    text = page.read_text("utf-8").replace("\\|", "")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [(row.count("|"), sorted(re.findall(r"\d*[.,]\d+|\d{3,}", row))) for row in rows]
