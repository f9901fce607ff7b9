"""The documents speak of what exists: verbs with their options, make targets, tests, files."""

import re
from functools import cache
from pathlib import Path

import pytest

from support.documents import ROOT, Fence, fences
from support.shell import commands, problem_of
from yoyak import messages

# Records of a past run speak of what was there then. One is written by `make faults`, and
# tests/faults/test_matrix.py holds that what it would name now exists; the other by a line-up.
RECORDS = {*(ROOT / "docs").glob("reliability*.md"), *(ROOT / "docs" / "example").rglob("*.md")}
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
def test_every_command_of_a_block_is_one_that_the_command_line_takes(document):
    found = [words for fence in fences(document) for words in commands(typed(fence))]
    problems = {" ".join(words): problem_of(words) for words in found}
    assert {command: problem for command, problem in problems.items() if problem} == {}


def typed(fence: Fence) -> str:
    """What a reader types: an ``sh`` block, and of a session what stands after its prompts."""
    if fence.language == "console":
        lines = fence.body.replace("\\\n", " ").splitlines()
        prompted = [line[2:] for line in lines if line.startswith("$ ")]
        return "\n".join(prompted or [line for line in lines if "yoyak" in line])
    return fence.body if fence.language == "sh" else ""


def test_a_wrong_command_is_found():
    assert problem_of(["yoyak", "run", "--no-such-option"])
    assert problem_of(["yoyak", "score", "only-one-file.csv"])
    assert problem_of(["yoyak", "tune", "decode"])
    assert problem_of(["yoyak", "tune", "nothing", "RUN"])
    assert problem_of(["yoyak", "score", "pred.csv", "dev.csv", "--json"]) == ""
    script = "A=1 nohup yoyak run x > log 2>&1 &\nfor i in 1 2; do yoyak plan && break; done"
    found = [words for words in commands(script) if words[0] == "yoyak"]
    assert found == [["yoyak", "run", "x"], ["yoyak", "plan"]]


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
