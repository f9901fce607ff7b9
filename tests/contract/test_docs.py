"""The documents speak of what exists: verbs, make targets, tests, files."""

import re
from functools import cache
from pathlib import Path

import pytest

from yoyak import messages

ROOT = Path(__file__).parents[2]
# Records of a past run speak of what was there then. One is written by `make faults`, and
# tests/faults/test_matrix.py holds that what it would name now exists; the other by a line-up.
RECORDS = {ROOT / "docs" / "reliability.md", *(ROOT / "docs" / "example").rglob("*.md")}
DOCUMENTS = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")} - RECORDS)
CODE = re.compile(r"^```[^\n]*\n(.*?)^```|`([^`\n]+)`", re.MULTILINE | re.DOTALL)
CALL = re.compile(r"(?<![\w/.-])yoyak (?:--lang \w+ )?([a-z]+)(?: ([a-z]+))?")
TARGET = re.compile(r"(?<![\w/-])make ([a-z][a-z-]*)")
TEST = re.compile(r"(?:[\w/]+/)?test_\w+\.py(?:::\w+)?")
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")


@cache
def code_of(document: Path) -> str:
    found = CODE.findall(document.read_text("utf-8"))
    return "\n".join(block or inline for block, inline in found)


@cache
def verbs() -> dict[str, set[str]]:
    """The words that may follow ``yoyak``, each with those that may follow it in turn."""
    with messages.speaking("en"):
        from yoyak.cli.app import ALIASES, VERBS, load_verb

        return {name: set(getattr(load_verb(name), "commands", ())) for name in (*VERBS, *ALIASES)}


def named(document: Path) -> str:
    return str(document.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_call_in_a_document_is_one_that_can_be_made(document):
    calls = CALL.findall(code_of(document))
    unknown = [verb for verb, _ in calls if verb not in verbs()]
    assert unknown == []
    below = [f"{verb} {word}" for verb, word in calls if verbs()[verb] and word]
    assert [call for call in below if call.split()[1] not in verbs()[call.split()[0]]] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_make_target_in_a_document_exists(document):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(TARGET.findall(code_of(document))) - targets == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_test_that_a_document_names_exists(document):
    missing = []
    for name in TEST.findall(code_of(document)):
        file, _, function = name.partition("::")
        below = file.removeprefix("tests/")
        texts = [
            path.read_text("utf-8")
            for path in (ROOT / "tests").rglob(Path(below).name)
            if path.as_posix().endswith(f"/{below}")
        ]
        if not any(not function or f"def {function}(" in text for text in texts):
            missing.append(name)
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_file_that_a_document_links_to_exists(document):
    links = LINK.findall(document.read_text("utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_the_documents_are_looked_at():
    """Rules that find nothing to look at hold nothing."""
    text = "\n".join(code_of(document) for document in DOCUMENTS)
    assert {"run", "submit"} <= {verb for verb, _ in CALL.findall(text)}
    assert {"run", "test"} <= set(TARGET.findall(text))
    assert TEST.findall(text)
    assert {"decode"} <= verbs()["tune"]
