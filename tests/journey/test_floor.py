"""The whole road without torch: from CSVs to a checked submission with the floor's engine."""

import csv
import json

import pytest

from yoyak.data import sample


@pytest.fixture
def road(yoyak, tmp_path):
    yoyak("run", "lead")
    return tmp_path / "workspace"


def test_a_run_is_scored_and_compared_and_reported(road, yoyak):
    status = json.loads(yoyak("status", "--json").stdout)
    assert [(run["recipe"], run["status"]) for run in status["runs"]] == [("lead", "finished")]
    assert (road / "report" / "report.md").is_file()
    assert "lead" in yoyak("compare").stdout


def test_the_same_command_again_does_nothing_and_says_so(road, yoyak):
    before = {
        path: path.stat().st_mtime_ns for path in (road / "runs").rglob("*") if path.is_file()
    }
    again = yoyak("run", "lead")
    assert "already done" in again.stdout + again.stderr
    after = {path: path.stat().st_mtime_ns for path in (road / "runs").rglob("*") if path.is_file()}
    assert before == after


def test_the_submission_has_the_shape_of_the_sample(road, yoyak, tmp_path):
    said = yoyak("submit", "--json")
    written = tmp_path / json.loads(said.stdout)["path"]
    wanted = (sample.folder() / "sample_submission.csv").read_text("utf-8")
    rows = list(csv.reader(written.open(encoding="utf-8", newline="")))
    expected = list(csv.reader(wanted.splitlines()))
    assert [row[:2] for row in rows] == [row[:2] for row in expected]
    assert all(row[2].strip() == row[2] != "" for row in rows[1:])
    assert yoyak("submit", "--check", written).returncode == 0


def test_a_bad_file_is_refused_with_its_rows(road, yoyak, tmp_path):
    bad = tmp_path / "bad.csv"
    text = (sample.folder() / "sample_submission.csv").read_text("utf-8")
    bad.write_text(text.replace("요약문입니다.", "", 1), encoding="utf-8")
    done = yoyak("submit", "--check", bad, check=False)
    assert done.returncode == 65
    assert "test_0" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
