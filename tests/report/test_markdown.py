"""The Markdown report has the status report's order, links to records, and keeps text as text."""

import re
from pathlib import Path
from urllib.parse import unquote

import msgspec
import pytest

from yoyak import messages
from yoyak.events import Failed, Status
from yoyak.report import markdown
from yoyak.report.build import build
from yoyak.report.sections import SECTIONS


def test_sections_come_in_the_order_of_a_status_report(view):
    said = markdown.render(view)
    heads = re.findall(r"^## (.+)$", said, re.MULTILINE)
    assert heads == [
        "Needs checking", "Summary", "Completed work", "Current activities",
        "Technical configuration", "Performance", "Risks", "Timeline", "Next steps", "Incidents",
    ]  # fmt: skip


def test_an_interrupted_run_says_at_which_step(view):
    said = markdown.render(view)
    assert "◆ interrupted" in said
    assert "17/24 (71%)" in said
    assert "interrupted at step 17; the checkpoint of step 10 is whole" in said


def test_both_languages_say_the_same_numbers(view):
    said = {}
    for language in messages.LANGUAGES:
        with messages.speaking(language):
            said[language] = markdown.render(view)
    numbers = {language: re.findall(r"\d+\.\d\d", text) for language, text in said.items()}
    assert numbers["ko"] == numbers["en"]
    assert "장난감 모델" in said["ko"]
    assert "never" not in said["ko"]


def test_every_score_leads_to_its_record(view):
    said = markdown.render(view)
    targets = {unquote(target) for target in re.findall(r"\]\(\.\./([^)]+)\)", said)}
    records = {system.record for system in view.systems}
    assert records <= targets
    assert {quality.record for _, quality in view.scored} <= targets


def test_hostile_text_stays_text(view, make):
    hostile = "| x <script>alert(1)</script> [a](javascript:b) ![i](http://e) `c` \x1b[31m"
    run = make.cut_run()
    failed = Failed(at=make.noon + 500, kind="RunFailed", message=hostile)
    view = build([run._replace(events=(*run.events, failed), status=Status.FAILED)], make.rest())
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
    said = markdown.render(build([], make.rest(floors=())))
    assert "## Performance" not in said
    assert "## Next steps" in said


def test_every_section_has_a_title_in_both_languages():
    for language in messages.LANGUAGES:
        with messages.speaking(language):
            assert all(messages.text(f"report.section-{key}") for key in SECTIONS)


def few_settings(view):
    """The view with two settings a system, so that a new setting changes no golden file."""
    shown = ("engine", "train.learning_rate")
    systems = [
        msgspec.structs.replace(
            one, settings=tuple(setting for setting in one.settings if setting.key in shown)
        )
        for one in view.systems
    ]
    return msgspec.structs.replace(view, systems=tuple(systems))


@pytest.mark.parametrize("language", messages.LANGUAGES)
@pytest.mark.parametrize("kind", ["finished", "interrupted"])
def test_the_report_is_the_one_in_the_docs(make, language, kind, monkeypatch, request):
    """Golden files: after a change that is meant, run with YOYAK_REWRITE=1 and read the diff."""
    import os
    import time

    monkeypatch.setenv("TZ", "Asia/Seoul")
    time.tzset()
    request.addfinalizer(time.tzset)
    request.addfinalizer(monkeypatch.undo)
    runs = [make.lead_run(), make.toy_run()]
    if kind == "interrupted":
        runs.append(make.cut_run())
    view = few_settings(build(runs, make.rest()))
    with messages.speaking(language):
        said = markdown.render(view)
    path = Path(__file__).parent / "golden" / f"{kind}.{language}.md"
    if os.environ.get("YOYAK_REWRITE") == "1":
        path.parent.mkdir(exist_ok=True)
        path.write_text(said, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == said


def test_the_view_is_not_changed_by_being_drawn(view):
    before = msgspec.json.encode(view)
    markdown.render(view)
    assert msgspec.json.encode(view) == before
