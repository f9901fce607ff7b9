"""A workspace that the previous version wrote (``tests/runs/fixtures/format-1``), by the CLI."""

import json
import shutil
from pathlib import Path

import pytest

from yoyak.data import sample
from yoyak.runs.workspace import Workspace

FORMAT_1 = Path(__file__).parents[1] / "runs" / "fixtures" / "format-1"
OLD_LEAD = "261126-0902-lead-ad64"
OLD_QLORA = "261126-0902-tiny-qlora-140e"


@pytest.fixture
def old(yoyak):
    """The folder of the old workspace, whose data are where they were."""
    folder = yoyak.folder / "workspace"
    shutil.copytree(FORMAT_1, folder)
    for path in folder.glob("runs/*/identity.json"):
        identity = json.loads(path.read_text("utf-8")) | {"data_folder": str(sample.folder())}
        path.write_text(json.dumps(identity), "utf-8")
    Workspace(folder).remember_data(sample.folder())
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "run.lock"
    }


def test_finished_runs_are_shown_reported_compared_and_submitted(yoyak, old):
    before = content(old / "runs")
    runs = json.loads(yoyak("status", "--json").stdout)["runs"]
    assert {one["run"]: one["status"] for one in runs} == {
        OLD_LEAD: "finished",
        OLD_QLORA: "finished",
    }
    status = " ".join(yoyak("status").stdout.split())
    assert "training has gained nothing" in status
    yoyak("report")
    report = (old / "report" / "report.md").read_text("utf-8")
    assert "15.76" in report
    assert "cannot be read" not in report
    assert "better" in yoyak("compare", "lead", "tiny-qlora").stdout
    assert f"best: {OLD_LEAD}" in yoyak("submit").stderr
    assert (old / "submissions" / "2" / "submission.csv").read_bytes() == (
        old / "submissions" / "1" / "submission.csv"
    ).read_bytes()
    yoyak("submit", "--result", "1=20.5")
    assert content(old / "runs") == before


def test_the_training_curve_of_the_old_tags_is_read(yoyak, old):
    yoyak("report")
    record = json.loads((old / "report" / "report.json").read_text("utf-8"))
    (curve,) = (one for one in record["curves"] if one["run"] == OLD_QLORA)
    assert curve["steps"] == [1, 2, 3, 4, 5, 6]


def test_running_again_starts_a_new_run_and_says_so(yoyak, old):
    before = content(old / "runs" / OLD_LEAD)
    done = yoyak("run", "lead", "--data", sample.folder())
    assert f"{OLD_LEAD} is of an older format and is left alone" in done.stderr
    assert len(list((old / "runs").glob("*-lead-*"))) == 2
    assert content(old / "runs" / OLD_LEAD) == before
    again = yoyak("run", "lead", "--data", sample.folder())
    assert "older format" not in again.stderr


def test_nothing_is_decoded_with_an_old_run(yoyak, old):
    done = yoyak("tune", "decode", OLD_QLORA, check=False)
    assert done.returncode == 65
    assert "earlier version" in done.stderr


@pytest.mark.parametrize(
    ("record", "change"),
    [
        (f"runs/{OLD_LEAD}/identity.json", {"format": 99, "something": "new"}),
        ("submissions/1/manifest.json", {"format": 99, "something": "new"}),
    ],
)
def test_a_newer_record_is_refused_in_one_sentence(yoyak, old, record, change):
    path = old / record
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), "utf-8")
    words = ("report",) if record.startswith("submissions") else ("status",)
    done = yoyak(*words, check=False)
    assert done.returncode == 65
    assert f"{Path(record).name} is of format 99" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_events_of_a_newer_version_are_skipped_counted_and_named(yoyak, old):
    log = old / "runs" / OLD_LEAD / "events.jsonl"
    with log.open("ab") as stream:
        stream.write(b'{"event":"teleported","at":1795683777.5,"where":"moon"}\n')
        stream.write(b'{"event":"warned","at":1795683778,"key":"moon.phase","fields":{"a":"1"}}\n')
    status = " ".join(yoyak("status").stdout.split())
    assert "the log has 1 event of a newer version" in status
    assert "moon.phase (a=1)" in status
    findings = json.loads(yoyak("report", "--json").stdout)["findings"]
    assert [one["what"]["fields"]["lines"] for one in findings] == ["1"]


@pytest.mark.parametrize("verb", ["status", "report", "submit"])
def test_a_folder_in_the_place_of_a_record_is_named_in_one_sentence(yoyak, old, verb):
    events = old / "runs" / OLD_LEAD / "events.jsonl"
    events.unlink()
    events.mkdir()
    refused = yoyak(verb, check=False)
    assert refused.returncode == 66
    assert f"{OLD_LEAD}/events.jsonl" in refused.stderr
    assert "Traceback" not in refused.stderr
