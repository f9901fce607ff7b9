"""The linter finds what the records do not support, and nothing in records that are whole."""

import re
import tomllib
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import msgspec
import pytest

from yoyak import messages
from yoyak.events import RunStatus, TrainStep
from yoyak.report.model import consistency
from yoyak.report.model.build import build
from yoyak.report.model.consistency import ModelStatements, Statements
from yoyak.report.model.report import DiskSpace

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
RUNNING = ModelStatements(
    name="qwen3-4b", status="running", step=127, steps=390, seconds_per_step=8.7,
    stated_at=NOON, ends_at=NOON + timedelta(seconds=263 * 8.7), epochs=10, batch_size=8,
    rows=312, schedule="cosine", schedule_seen="moving", sampled=False,
)  # fmt: skip
"""263 steps are left, and 390 × 8 rows are ten epochs of 312."""
SCORED = ModelStatements(
    name="kobart", status="finished", rouge1=52.14, rouge2=32.10, rougeL=42.86, mean=42.37
)
WAITING = ModelStatements(name="qwen25-7b", status="queued", download_gb=15.2)
WHOLE = Statements(
    models=(RUNNING, SCORED, WAITING),
    next_models=("qwen25-7b",),
    disk=DiskSpace(free_gb=60, used_gb=90, total_gb=150),
)


def of(model, **changes):
    """The whole report with one model told otherwise."""
    told = msgspec.structs.replace(model, **changes)
    models = tuple(told if one is model else one for one in WHOLE.models)
    return msgspec.structs.replace(WHOLE, models=models)


WRONG = {
    "time-left": of(RUNNING, ends_at=NOON + timedelta(hours=3)),
    "schedule": of(RUNNING, schedule_seen="constant"),
    "epochs": of(RUNNING, epochs=40),
    "triple": of(SCORED, rougeL=13.96),
    "line-up": msgspec.structs.replace(WHOLE, next_models=("qwen25-3b",)),
    "disk": msgspec.structs.replace(WHOLE, disk=DiskSpace(free_gb=29, used_gb=121, total_gb=150)),
    "sampling": of(RUNNING, sampled=True),
    "encoding": msgspec.structs.replace(WHOLE, text="끊어진 글자 \ufffd"),
}


def rules(found):
    return [finding.rule for finding in found]


def test_a_report_that_its_records_support_has_no_finding():
    assert consistency.check(WHOLE) == ()


def test_there_is_a_wrong_report_for_every_rule():
    assert list(WRONG) == list(consistency.RULES)


def test_the_docs_list_the_rules_that_there_are_and_no_others():
    docs = (Path(__file__).parents[3] / "docs" / "report.md").read_text(encoding="utf-8")
    _, _, section = docs.partition("## Consistency checks of the records")
    lines = [line for line in section.partition("##")[0].splitlines() if line.startswith("| `")]
    listed = {rule for line in lines for rule in re.findall("`([a-z-]+)`", line.split("|")[1])}
    sentences = tomllib.loads((files(messages) / "en" / "report.toml").read_text("utf-8"))
    assert listed == {key[5:] for key in sentences if key.startswith("lint-")} >= {*WRONG}


@pytest.mark.parametrize("language", messages.LANGUAGES)
@pytest.mark.parametrize("rule", WRONG)
def test_each_rule_finds_its_fault_alone_and_names_it(rule, language):
    [finding] = consistency.check(WRONG[rule])
    assert finding.rule == rule
    with messages.speaking(language):
        assert not finding.what.text.startswith("report.")
        assert "{" not in finding.what.text


def test_a_finding_says_what_was_expected():
    said = {rule: consistency.check(stated)[0].what.text for rule, stated in WRONG.items()}
    assert "end at 15:00" in said["time-left"]
    assert "12:38" in said["time-left"]
    assert "10 epochs of 312 rows" in said["epochs"]
    assert "15.2 GB" in said["disk"]
    assert "qwen25-3b" in said["line-up"]


def test_a_clean_line_up_has_nothing_to_check(make):
    running = make.cut_run()._replace(status=RunStatus.RUNNING)
    records = [make.lead_run(), make.toy_run(), running]
    view = build(records, make.rest())
    disk = DiskSpace(free_gb=40, used_gb=110, total_gb=150)
    assert consistency.check(consistency.statements(records, view, disk)) == ()


@pytest.mark.parametrize(
    ("said", "seen", "found"),
    [("cosine", "moving", False), ("constant", "constant", False), ("constant", "moving", True)],
)
def test_the_schedule_is_held_against_the_log(said, seen, found):
    found_rules = rules(consistency.check(of(RUNNING, schedule=said, schedule_seen=seen)))
    assert ("schedule" in found_rules) is found


@pytest.mark.parametrize(
    ("rows", "found"), [(312, False), (315, False), (300, False), (292, True), (3120, True)]
)
def test_steps_are_held_against_epochs(rows, found):
    assert ("epochs" in rules(consistency.check(of(RUNNING, rows=rows)))) is found


def test_a_limit_on_the_steps_explains_fewer_epochs():
    assert consistency.check(of(RUNNING, epochs=40, steps_limited=True)) == ()


@pytest.mark.parametrize(
    "changes", [{"download_gb": 0.0}, {"download_gb": None}, {"status": "finished"}]
)
def test_what_needs_no_download_needs_no_room(changes):
    full = msgspec.structs.replace(
        of(WAITING, **changes), disk=DiskSpace(free_gb=29, used_gb=121, total_gb=150)
    )
    assert consistency.check(full) == ()


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("작업 현황 보고서 ✅ café", False),
        ("끊어진 글자 \ufffd", True),
        ("요약".encode().decode("cp1252"), True),
        ("Ünïcödé naïve café", False),
    ],
)
def test_text_that_lost_its_encoding_is_found(written, found):
    assert (rules(consistency.check(Statements(text=written))) == ["encoding"]) is found


def test_a_learning_rate_that_never_moves_is_seen_in_the_records(make):
    run = make.toy_run()
    assert consistency.check(consistency.statements([run], build([run], make.rest()))) == ()
    still = tuple(
        msgspec.structs.replace(event, learning_rate=2e-4)
        if isinstance(event, TrainStep)
        else event
        for event in run.events
    )
    frozen = run._replace(events=still)
    found = consistency.check(consistency.statements([frozen], build([frozen], make.rest())))
    assert rules(found) == ["schedule"]
