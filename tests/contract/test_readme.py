"""Both languages of the README say the same, and the forms and the citation are well-formed."""

import re
from pathlib import Path

import yaml

import yoyak
from yoyak.config import load

ROOT = Path(__file__).parents[2]
ENGLISH, KOREAN = ((ROOT / name).read_text("utf-8") for name in ("README.md", "README.ko.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def headings(text: str) -> list[str]:
    """The levels of the headings, in order."""
    return re.findall(r"^(#+) ", BLOCK.sub("", text), re.MULTILINE)


def code(text: str) -> list[tuple[str, str]]:
    """Code blocks without the comments, which are translated."""
    return [(kind, re.sub(r" +# .*", "", body)) for kind, body in BLOCK.findall(text)]


def test_both_have_the_same_headings_and_the_same_code():
    assert headings(ENGLISH) == headings(KOREAN)
    assert len(headings(ENGLISH)) > 8
    assert code(ENGLISH) == code(KOREAN)
    assert len(code(ENGLISH)) > 6


def test_both_have_the_same_links_figures_and_recipes():
    def facts(text: str) -> tuple[list[str], list[str]]:
        prose = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
        links = [
            re.sub(r"\.ko(?=\.(?:md|png))|#.*|\.en(?=\.png)|-(?:en|ko)(?=\.png)", "", link)
            for link in re.findall(r"\]\(([^)]+)\)", prose)
        ]
        return sorted(set(links) - {"README.md"}), sorted(set(re.findall(r"`[a-z0-9.-]+`", prose)))

    assert facts(ENGLISH) == facts(KOREAN)
    assert len(facts(ENGLISH)[0]) > 10


def test_the_line_up_names_every_recipe():
    for text in (ENGLISH, KOREAN):
        assert [name for name in load.names() if name != "lead" and f"`{name}`" not in text] == []


def test_the_readme_is_short_enough_to_be_read():
    """60 seconds to what, for whom and how: the first screen has all three and two commands."""
    first = ENGLISH.split("\n```console\n$ ")[0]
    assert len(first.split()) < 200
    assert {"**What:**", "**For whom:**", "**How:**"} <= set(re.findall(r"\*\*[^*]+:\*\*", first))
    assert [body.split("\n")[:2] for _, body in BLOCK.findall(first)] == [
        ["make run", ". .venv/bin/activate"]
    ]


def test_the_forms_ask_for_doctor_and_warn_of_private_texts():
    forms = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    parsed = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in forms}
    assert set(parsed) == {"bug", "config", "idea", "score"}
    for name, form in parsed.items():
        if name != "config":
            ids = [field["id"] for field in form["body"] if field["type"] != "markdown"]
            assert len(ids) == len(set(ids)) > 1
            assert {"name", "description", "body"} <= form.keys()
    said = str(parsed["bug"])
    assert "yoyak doctor --json" in said
    assert "Paste no dialogues" in said


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == yoyak.__version__
    assert {"cff-version", "title", "authors", "message"} <= citation.keys()
