"""The sections of the report: one order, and each can be found in every rendering."""

import re

import msgspec
import pytest

from yoyak import messages
from yoyak.report.model.report import Example, Fact, Pair
from yoyak.report.render import escape, html, markdown
from yoyak.report.sections.blocks import Chart, SampleBlock
from yoyak.report.sections.toc import SECTIONS, sections


@pytest.fixture
def full(view):
    """A view with more to say than the runs alone."""
    example = Example(
        id="dev_0", dialogue="#Person1#: hello", references=("a greeting",),
        answers=(("lead", "a greeting", 1.0),), why="best",
    )  # fmt: skip
    pair = Pair(one="lead", other="tiny-bart", oracle_gain=0.02, other_better=0.25)
    fact = Fact(label="python", value="3.12", record="runs/a/provenance.json")
    group = msgspec.structs.replace(view.groups[0], examples=(example,), pairs=(pair,))
    return msgspec.structs.replace(view, groups=(group,), provenance=(fact,))


def test_what_needs_checking_and_the_summary_come_first_and_provenance_last():
    keys = list(SECTIONS)
    assert keys[:2] == ["findings", "summary"]
    assert keys[-1] == "provenance"
    assert keys.index("performance") < keys.index("risks") < keys.index("next")


def test_the_sections_of_a_view_keep_the_order_and_none_is_empty(full):
    drawn = [section.key for section in sections(full)]
    assert drawn == [key for key in SECTIONS if key in drawn]
    assert {"ensemble", "examples", "provenance", "incidents"} <= set(drawn)
    assert all(section.blocks for section in sections(full))
    assert "submissions" not in drawn, "nothing was handed in"


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_the_contents_of_the_page_lead_to_each_section_once_in_order(full, language):
    with messages.speaking(language):
        page, expected = html.render(full), [one.key for one in sections(full)]
    contents = page[page.index("<nav") : page.index("</nav>")]
    assert re.findall(r'href="#([^"]+)"', contents) == expected
    assert re.findall(r'<h2 id="([^"]+)"', page) == expected


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_the_headings_of_the_markdown_are_unlike_so_that_each_can_be_linked(full, language):
    """Charts and dialogues stay out of it; a section of nothing else has no heading."""
    with messages.speaking(language):
        said = markdown.render(full)
        expected = [
            one.title
            for one in sections(full)
            if not all(isinstance(block, Chart | SampleBlock) for block in one.blocks)
        ]
    heads = re.findall(r"^## (.+)$", said, re.MULTILINE)
    assert heads == [escape.markdown(title) for title in expected]
    assert len(set(heads)) == len(heads)
