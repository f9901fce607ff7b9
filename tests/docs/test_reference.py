"""The reference is written from the code, whole and in both languages."""

import importlib.util
import re

import pytest

from support.documents import DOCS, ROOT

SCRIPT = ROOT / "scripts" / "reference.py"


@pytest.fixture
def reference():
    """The script as a module of its own: it keeps the language and what was missing."""
    spec = importlib.util.spec_from_file_location("reference", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# The command line's own texts are chosen when it is imported: `make check` holds that page.
PAGES = ("settings", "project", "contest", "exits", "events", "files")
FROM_ENGLISH = ("reliability", "architecture_packages", "architecture_places")


def test_every_meaning_is_there_and_translated_and_no_translation_is_left_over(
    reference, capsys, monkeypatch
):
    used = set()
    translated = reference.translated
    monkeypatch.setattr(reference, "translated", lambda text: used.add(text) or translated(text))
    for page in (*PAGES, *FROM_ENGLISH):
        reference.main(page, "ko")  # exits where something is missing
    assert set(reference._catalogue()) - used == set()
    assert "train.learning_rate" in capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_written_tables_are_those_of_the_code(reference, capsys, page, language):
    reference.main(page, language)
    written = "\n".join(path.read_text("utf-8") for path in DOCS.glob("reference/*.md"))
    assert capsys.readouterr().out in written


def test_a_missing_translation_is_named(reference, monkeypatch):
    monkeypatch.setattr(reference, "_catalogue", dict)
    with pytest.raises(SystemExit, match=re.escape("lacks a translation of: Rank of the adapters")):
        reference.main("settings", "ko")
