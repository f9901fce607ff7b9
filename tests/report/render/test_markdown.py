"""The Markdown report has the status report's order, links to records, and keeps text as text."""

import os
import re
from urllib.parse import unquote

import msgspec
import pytest

from yoyak import messages
from yoyak.events import Failed, RunStatus
from yoyak.report.model.build import build
from yoyak.report.model.report import DiskSpace
from yoyak.report.render import html, markdown
from yoyak.report.sections.page import SECTIONS, sections


def test_sections_come_in_the_order_of_a_status_report(view):
    said = markdown.render(view)
    heads = re.findall(r"^## (.+)$", said, re.MULTILINE)
    assert heads == [
        "Needs checking", "Summary", "Completed work", "Current activities",
        "Technical configuration", "Performance", "Resource risks", "Timeline", "Next steps",
        "Incidents",
    ]  # fmt: skip


def test_an_interrupted_run_says_at_which_step(view):
    said = markdown.render(view)
    assert "◆ interrupted" in said
    assert "17/24 (71%)" in said
    assert "interrupted at step 17; the checkpoint of step 10 is complete" in said


def test_both_languages_say_the_same_numbers(view):
    said = {}
    for language in messages.LANGUAGES:
        with messages.speaking(language):
            said[language] = markdown.render(view)
    numbers = {language: re.findall(r"\d+\.\d\d", text) for language, text in said.items()}
    assert numbers["ko"] == numbers["en"]
    assert "동작 확인용 초소형 모델" in said["ko"]
    assert "never" not in said["ko"]


def test_every_score_leads_to_its_record(view):
    said = markdown.render(view)
    targets = {unquote(target) for target in re.findall(r"\]\(\.\./([^)]+)\)", said)}
    records = {system.record for system in view.systems}
    assert records <= targets
    assert {quality.record for _, quality in view.ranked(view.groups[0])} <= targets


def test_hostile_text_stays_text(view, make):
    hostile = "| x <script>alert(1)</script> [a](javascript:b) ![i](http://e) `c` \x1b[31m"
    run = make.cut_run()
    failed = Failed(at=make.noon + 500, kind="RunFailed", message=hostile)
    view = build([run._replace(events=(*run.events, failed), status=RunStatus.FAILED)], make.rest())
    (line,) = [line for line in markdown.render(view).splitlines() if "alert" in line]
    assert "<script" not in line.replace("\\<script", "")
    assert "\x1b" not in line
    assert len(re.findall(r"(?<!\\)\|", line)) == 6, "five cells, no more"
    assert r"\[a\](javascript" in line


def test_code_spans_survive_backticks():
    view_code = markdown._code("a `b` ``c``")
    assert view_code == "``` a `b` ``c`` ```"


def test_the_timeline_is_a_diagram_that_mermaid_reads(view):
    said = markdown.render(view)
    (diagram,) = re.findall(r"```mermaid\n(.+?)```", said, re.DOTALL)
    bars = re.findall(r"^  [^:\n]+ : (?:done, |active, )?(\d+), (\d+)$", diagram, re.MULTILINE)
    assert len(bars) == len(view.timeline)
    assert all(int(start) < int(end) for start, end in bars)


def test_a_section_with_nothing_to_say_is_left_out(make):
    said = markdown.render(build([], make.rest()))
    assert "## Performance" not in said
    assert "## Next steps" in said


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_before_the_first_run_a_report_says_so_and_has_no_empty_section(make, language):
    disk = DiskSpace(free_gb=40, used_gb=110, total_gb=150)
    view = build([], make.rest(disk=disk))
    with messages.speaking(language):
        page, said = html.render(view), markdown.render(view)
        empty = messages.text("report.no-runs")
    assert [one.key for one in sections(view)] == ["summary", "risks", "next"]
    assert empty in page
    assert "yoyak run" in said
    assert "–" not in said.splitlines()[2], "no last event is no dash in a sentence"


def test_every_section_has_a_title_in_both_languages():
    for language in messages.LANGUAGES:
        with messages.speaking(language):
            assert all(messages.text(f"report.section-{key}") for key in SECTIONS)


@pytest.mark.parametrize("language", messages.LANGUAGES)
@pytest.mark.parametrize("kind", ["finished", "interrupted"])
def test_the_example_of_the_docs_is_what_its_records_say(example, language, kind):
    """Golden files: after a change that is meant, run with YOYAK_REWRITE=1 and read the diff."""
    folder, view = example(kind)
    with messages.speaking(language):
        said = markdown.render(view)
    path = folder / "report" / f"report.{language}.md"
    if os.environ.get("YOYAK_REWRITE") == "1":
        path.parent.mkdir(exist_ok=True)
        path.write_text(said, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == said


def test_every_link_of_the_example_leads_to_a_line_that_is_there(example):
    for kind in ("finished", "interrupted"):
        folder, view = example(kind)
        targets = set(re.findall(r"\]\(\.\./([^)]+)\)", markdown.render(view)))
        assert len(targets) > 5
        for target in targets:
            path, _, line = unquote(target).partition("#L")
            lines = (folder / path).read_text(encoding="utf-8").splitlines()
            assert not line or int(line) <= len(lines)


def test_the_interrupted_example_says_at_which_step(example):
    _, view = example("interrupted")
    said = markdown.render(view)
    cut, unstarted = [one for one in view.progress if one.status is RunStatus.INTERRUPTED]
    assert f"{cut.done}/{cut.of}" in said
    assert f"interrupted at step {cut.done}; the checkpoint of step 375 is complete" in said
    assert unstarted.done == 0
    assert "interrupted at step 0, before the first checkpoint" in said


def test_the_view_is_not_changed_by_being_drawn(view):
    before = msgspec.json.encode(view)
    markdown.render(view)
    assert msgspec.json.encode(view) == before
