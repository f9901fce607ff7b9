"""The whole road without torch: from CSVs to a checked submission with the floor's engine."""

import csv
import json

import pytest

from yoyak.data import sample
from yoyak.runs.workspace import Workspace


def modified(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_a_run_ends_with_its_comparison_report_and_submission(road):
    assert "lead" in road.said.stdout
    assert road.said.stdout.rstrip().endswith("workspace/submissions/1/submission.csv")
    for name in ("index.html", "report.md", "report.json"):
        assert (road.folder / "workspace" / "report" / name).is_file()


def test_without_data_the_generated_sample_is_used(yoyak, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(yoyak.folder / "cache"))
    said = yoyak("run", "lead").stderr
    assert "the embedded sample (train 3000 rows" in said
    assert said.rstrip().endswith("another recipe, your own data")
    (run,) = Workspace(yoyak.folder / "workspace").runs()
    assert run.state().audit.findings == ()


def test_status_tells_it_in_json_and_in_words(road):
    status = json.loads(road("status", "--json").stdout)
    assert [(one["recipe"], one["status"]) for one in status["runs"]] == [("lead", "finished")]
    assert "lead" in road("status").stdout


def test_the_same_command_again_does_nothing_and_says_so(road):
    runs = road.folder / "workspace" / "runs"
    before = modified(runs)
    assert "already done" in road("run", "lead").stderr
    assert modified(runs) == before


def test_two_systems_are_compared_and_one_is_not(road):
    alone = road("compare", check=False)
    assert (alone.returncode, alone.stdout) == (2, "")
    theirs = road.folder / "theirs.csv"
    rows = csv.DictReader(
        (sample.folder() / "dev.csv").read_text("utf-8").splitlines(keepends=True)
    )
    lines = [f'{row["fname"]},"{row["summary"]}"' for row in rows]
    theirs.write_text("\n".join(["fname,summary", *lines, ""]), encoding="utf-8")
    compared = json.loads(road("compare", "lead", theirs, "--json").stdout)
    assert [one["system"] for one in compared["standings"]] == ["theirs.csv", "lead"]
    assert "dev_0" in road("compare", "lead", theirs, "--rows").stdout


def test_the_submission_has_the_shape_of_the_sample(road):
    written = road.folder / json.loads(road("submit", "--json").stdout)["path"]
    wanted = (sample.folder() / "sample_submission.csv").read_text("utf-8")
    rows = list(csv.reader(written.read_text("utf-8").splitlines()))
    expected = list(csv.reader(wanted.splitlines()))
    assert [row[:2] for row in rows] == [row[:2] for row in expected]
    assert all(row[2].strip() == row[2] != "" for row in rows[1:])
    # Copied turns are what this system does on dev as well: its own file passes again.
    assert road("submit", "--check", written).returncode == 0


def test_a_bad_file_is_refused_with_its_rows(road):
    bad = road.folder / "bad.csv"
    text = (sample.folder() / "sample_submission.csv").read_text("utf-8")
    bad.write_text(text.replace("요약문입니다.", "", 1), encoding="utf-8")
    done = road("submit", "--check", bad, check=False)
    assert done.returncode == 65
    assert "test_0" in done.stderr
    assert "Traceback" not in done.stderr


BROKEN = {
    "duplicate": ("dev.csv", lambda text: text + text.split("\n", 1)[1], "dev_0"),
    "cut": ("train.csv", lambda text: text[:-40], "train.csv"),
    "column": ("test.csv", lambda text: text.replace("dialogue", "dialog", 1), "dialogue"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_bad_data_get_a_message_and_nothing_is_written(fault, yoyak):
    name, spoil, said = BROKEN[fault]
    data = yoyak.folder / "data"
    data.mkdir()
    for path in sample.folder().glob("*.csv"):
        text = path.read_text("utf-8")
        (data / path.name).write_text(spoil(text) if path.name == name else text, "utf-8")
    done = yoyak.in_a_process("run", "lead", "--data", data, check=False)
    assert done.returncode == 65
    assert name in done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (yoyak.folder / "workspace").exists()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("run", "kobrat"), 78),
        (("run", "lead", "--set", "train.epoch=3"), 78),
        (("run", "lead", "--data", "nowhere"), 66),
        (("score", "none.csv", "none.csv"), 66),
        (("submit",), 66),
        (("fly",), 2),
        (("--lang", "fr", "status"), 2),
    ],
)
def test_what_cannot_be_done_has_its_exit_code_and_leaves_nothing(words, code, yoyak):
    done = yoyak(*words, check=False)
    assert done.returncode == code
    assert list(yoyak.folder.iterdir()) == []


def test_a_line_up_that_the_disk_stops_says_so_with_its_own_code(yoyak, data):
    (yoyak.folder / "yoyak.toml").write_text("[limits]\ndisk_free_gb = 1e9\n", "utf-8")
    done = yoyak("run", "lead", "--data", data, check=False)
    assert done.returncode == 74
    assert "GB" in done.stderr


@pytest.fixture
def two_floors(yoyak, data):
    for name in ("one", "two"):
        (yoyak.folder / f"{name}.toml").write_text('extends = "lead"\n', encoding="utf-8")
    return lambda: yoyak("run", "one.toml", "two.toml", "--data", data)


def test_the_report_is_written_after_the_first_run_already(two_floors):
    said = two_floors().stderr
    assert said.index("one: finished") < said.index("report so far") < said.index("two: started")
    assert said.count("report so far") == 1


def test_a_report_that_fails_between_runs_stops_none(two_floors, yoyak, monkeypatch):
    from yoyak.report.render import write

    original, calls = write.write_report, []

    def fail_once(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise ZeroDivisionError("a fault of the report")
        return original(*arguments)

    monkeypatch.setattr(write, "write_report", fail_once)
    said = two_floors()
    assert "a fault of the report" in said.stderr
    assert "two: finished" in said.stderr
    assert (yoyak.folder / "workspace/report/index.html").is_file()
