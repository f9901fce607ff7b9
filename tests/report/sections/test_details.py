"""What needs checking stands first, and nothing is called sound above an alarm."""

import io

import msgspec
import pytest

from yoyak import messages
from yoyak.metrics.sanity_checks import Alarm, Severity
from yoyak.report.model.build import build
from yoyak.report.model.report import SubmissionSummary
from yoyak.report.render import html, markdown
from yoyak.report.sections import details
from yoyak.submission.format_rules import Location
from yoyak.submission.validate import ValidationFault
from yoyak.terminal import status

BELOW = Alarm(
    key="metrics.alarm-below-constant",
    severity=Severity.WARNING,
    evidence={"mean": "18.33", "floor": "27.01"},
)
IDENTICAL = Alarm(
    key="metrics.alarm-identical",
    severity=Severity.ERROR,
    evidence={"rows": "24", "percent": "100.0", "most": "24"},
    rows=("dev_0",),
)


@pytest.fixture
def alarmed(make):
    toy = make.toy_run()
    quality = msgspec.structs.replace(toy.quality, alarms=(BELOW, IDENTICAL))
    return build([make.lead_run(), toy._replace(quality=quality)], make.rest())


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_alarms_are_the_first_thing_of_the_page_errors_before_warnings(alarmed, language):
    with messages.speaking(language):
        page, said = html.render(alarmed), markdown.render(alarmed)
        sound = messages.text("report.nothing-found")
        below, identical = BELOW.sentence, IDENTICAL.sentence
    assert sound not in page + said
    assert (
        said.index(identical[:20])
        < said.index(below[:20])
        < said.index("\n## ", said.index("\n## ") + 1)
    )
    assert 'class="needs"' in page
    assert page.index(identical[:20]) < page.index('id="summary"')


def test_a_page_without_alarms_says_that_the_records_support_it(view):
    said = markdown.render(view)
    assert "No inconsistencies found" in said
    assert 'class="clear"' in html.render(view)


def test_the_end_of_a_run_shows_the_alarms_with_the_toy_mark(alarmed):
    stream = io.StringIO()
    status.comparison(alarmed, status.console(stream, width=80))
    shown = " ".join(stream.getvalue().split())
    assert "✖ ERROR tiny-bart* 24 rows" in shown
    assert "◆ WARNING tiny-bart*" in shown


def test_warnings_of_a_submission_name_no_summary(view):
    fault = ValidationFault(
        rule="repetition",
        severity=Severity.WARNING,
        places=(Location(row=1, id="test_0", found="비밀비밀비밀"),),
        fields={
            "share": "70.8%",
            "base": "0.0%",
            "p": "8e-08",
            "basis": "references",
        },
    )
    summary = SubmissionSummary(
        number="1", system="lead", method="single", rows=24, sha256="0" * 64,
        path="submissions/1/submission.csv", dev_mean=0.2, signature="s", public_score=None,
        warnings=(fault,), record="submissions/1/manifest.json",
    )  # fmt: skip
    (table,) = details.alarms(msgspec.structs.replace(view, submissions=(summary,)))
    ((badge, link, sentence),) = table.rows
    assert (badge.kind, link.shown) == ("watch", "submission 1")
    assert "비밀" not in sentence
    assert "비밀" in fault.text


@pytest.mark.parametrize("rows", [(), (("error", "lead", "all rows are empty"),)])
def test_a_table_of_alarms_is_there_only_where_there_are_some(rows):
    assert len(details.alarm_table(rows)) == len(rows)
