"""What is computed is shown: the same alarms, floors and marks in every view, in both languages."""

import csv
import html
import json
import shutil

import pytest

from yoyak import messages
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.runs.workspace import Workspace
from yoyak.values import Severity

SAME = "#Person1#과 #Person2#는 이야기합니다."
"""The same answer to every dialogue: identical rows, nothing above the constant sentence."""


@pytest.fixture(params=messages.LANGUAGES)
def language(request):
    with messages.speaking(request.param):
        yield request.param


@pytest.fixture
def yoyak(road, tmp_path, command_line, monkeypatch, language):
    """The command line in one language, wide enough that no sentence is folded."""
    monkeypatch.setenv("COLUMNS", "600")
    shutil.copytree(road.folder / "workspace", tmp_path / "workspace")
    command = command_line(tmp_path)
    return lambda *words: command("--lang", language, *words)


@pytest.fixture
def constant(tmp_path):
    """A file for dev and one for test that answer every dialogue with ``SAME``."""
    corpus = read_corpus(sample.folder())
    paths = []
    for split in (corpus.dev, corpus.test):
        paths.append(tmp_path / f"same-{split.name}.csv")
        with paths[-1].open("w", encoding="utf-8", newline="") as stream:
            rows = csv.writer(stream)
            rows.writerow(["fname", "summary"])
            rows.writerows([one.id, SAME] for one in split.dialogues)
    return paths


def plain(text: str) -> str:
    return " ".join(html.unescape(text.replace("\\", "")).split())


def assert_shown(said: str, sentences: list[str]) -> None:
    """Each sentence stands in ``said``, however it is escaped or folded."""
    assert sentences
    missing = [one for one in sentences if plain(one) not in plain(said)]
    assert missing == []


def test_the_alarms_of_a_run_are_in_every_view(yoyak, tmp_path, constant):
    run = Workspace(tmp_path / "workspace").runs()[0]
    alarms = run.scorecard("dev").alarms
    sentences = [alarm.sentence for alarm in alarms]
    floors = [messages.text(f"report.floor-{name}") for name in ("constant", "unrelated", "lead")]
    ended = yoyak("run", "lead").stdout
    compared = yoyak("compare", "lead", constant[0]).stdout
    submitted = yoyak("submit").stderr
    yoyak("report")
    folder = tmp_path / "workspace" / "report"
    page, said = ((folder / name).read_text("utf-8") for name in ("index.html", "report.md"))
    assert_shown(
        ended,
        [
            one if alarm.severity is Severity.ERROR else one.partition(" → ")[0]
            for alarm, one in zip(alarms, sentences, strict=True)
        ],
    )
    for view in (compared, submitted, page, said):
        assert_shown(view, sentences)
    for view in (ended, compared, submitted, page, said):
        assert_shown(view, floors)
    assert messages.text("report.nothing-found") not in page + said
    assert page.index('class="needs"') < page.index('id="summary"')
    (system,) = json.loads((folder / "report.json").read_text("utf-8"))["systems"]
    assert [one["key"] for one in system["quality"]["alarms"]] == [one.key for one in alarms]
    found = json.loads(yoyak("compare", "lead", constant[0], "--json").stdout)
    assert found["alarms"]["lead"] == [one.key for one in alarms]
    written = json.loads(yoyak("submit", "--json").stdout)
    assert written["alarms"] == [one.key for one in alarms]
    assert written["floors"] == found["floors"]


def test_one_answer_for_every_row_is_an_alarm_wherever_it_is_looked_at(yoyak, constant):
    identical = "metrics.alarm-identical"
    dev, _ = constant
    scored = json.loads(yoyak("score", dev, sample.folder() / "dev.csv", "--json").stdout)
    assert identical in scored["alarms"]
    taken_in = yoyak("import", "same", *constant).stdout
    sentence = messages.text(identical, rows=scored["rows"], percent="100.0", most=scored["rows"])
    floor = messages.text("report.floor-constant")
    for view in (
        yoyak("score", dev, sample.folder() / "dev.csv").stdout,
        taken_in,
        yoyak("compare", "lead", "same").stdout,
    ):
        assert_shown(view, [sentence])
    assert floor in taken_in
    again = json.loads(yoyak("import", "same", *constant, "--json").stdout)
    assert identical in again["alarms"]


def test_what_the_audit_finds_in_the_data_is_in_every_view_of_the_run(yoyak, tmp_path):
    """A data set in which most dev summaries are the word "nan", trained on in spite of it."""
    folder = tmp_path / "data"
    shutil.copytree(sample.folder(), folder)
    with (folder / "dev.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    with (folder / "dev.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, fieldnames=list(rows[0]))
        table.writeheader()
        table.writerows({**row, "summary": "nan"} for row in rows)
    allow = ("--allow", "missing-value", "--allow", "one-summary")
    ended = yoyak("run", "lead", "--data", folder, *allow)
    run = Workspace(tmp_path / "workspace").runs()[-1]
    findings = run.state().audit.findings
    assert {"missing-value", "one-summary"} <= {one.name for one in findings}
    sentences = [one.found for one in findings]
    yoyak("report")
    report = tmp_path / "workspace" / "report"
    page, said = ((report / name).read_text("utf-8") for name in ("index.html", "report.md"))
    for view in (ended.stderr, page, said):
        assert_shown(view, sentences)
    issues = json.loads((report / "report.json").read_text("utf-8"))["data_issues"]
    assert [one["finding"]["name"] for one in issues if one["data"] == "data"] == [
        one.name for one in findings
    ]
