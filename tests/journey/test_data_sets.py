"""Two data sets in one workspace, and a test.csv that is replaced under the same ids."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from yoyak.data import sample


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def write(path: Path, rows: list[dict[str, str]]) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        rows_ = csv.DictWriter(stream, fieldnames=list(rows[0]))
        rows_.writeheader()
        rows_.writerows(rows)


def data_set(folder: Path, stop: int | None) -> Path:
    """Write the sample's first rows, or all of them, as a data set; returns ``folder``."""
    for split in ("train", "dev", "test"):
        write(folder / f"{split}.csv", read(sample.folder() / f"{split}.csv")[:stop])
    return folder


@pytest.fixture
def yoyak(road, tmp_path, command_line):
    """The command line of a folder with a finished run and the data that it was made from."""
    shutil.copytree(road.folder / "workspace", tmp_path / "workspace")
    data_set(tmp_path / "data", stop=None)
    return command_line(tmp_path)


def submitted(said: str, folder: Path) -> dict[str, str]:
    """What the submission holds whose path ``said`` ends with, by id."""
    return {row["fname"]: row["summary"] for row in read(folder / said.rsplit(maxsplit=1)[-1])}


def first_turns(path: Path) -> dict[str, str]:
    return {row["fname"]: row["dialogue"].split("\n")[0] for row in read(path)}


def assert_answers(found: dict[str, str], test: Path) -> None:
    """The summaries of ``lead`` begin with the first turn of the very dialogue."""
    wanted = first_turns(test)
    assert found.keys() == wanted.keys()
    assert all(found[row][:12] == turn[:12] for row, turn in wanted.items())


def test_each_data_set_has_its_own_run_and_its_own_submission(yoyak):
    first, other = yoyak.folder / "data", data_set(yoyak.folder / "other", stop=12)
    second = 'extends = "lead"\nname = "lead2"\nabout = "the same"\n[train]\nseed = 7\n'
    (yoyak.folder / "lead2.toml").write_text(second, "utf-8")
    said = yoyak("run", "lead", "--data", other).stdout
    assert_answers(submitted(said, yoyak.folder), other / "test.csv")
    status = json.loads(yoyak("status", "--json").stdout)
    assert [one["status"] for one in status["runs"]] == ["finished"] * 2
    again = yoyak("submit", "--data", first).stdout
    assert_answers(submitted(again, yoyak.folder), first / "test.csv")
    # Scores on different rows are not compared, whatever the systems are called.
    assert yoyak("compare", check=False).returncode == 2
    assert yoyak("compare", *runs(yoyak), check=False).returncode == 65
    yoyak("run", "lead", "lead2.toml", "--data", other)
    compared = yoyak("compare", "--json")
    assert {one["system"] for one in json.loads(compared.stdout)["standings"]} == {
        run["run"] for run in json.loads(yoyak("status", "--json").stdout)["runs"][1:]
    }
    assert runs(yoyak)[0] in compared.stderr, "it says who was left alone"


def test_answers_from_elsewhere_are_compared_with_the_runs_on_their_data(yoyak):
    """Without names, every run and every import is compared with those on the same data."""
    answers = [
        {"fname": row["fname"], "summary": row["summary"][:30]}
        for row in read(yoyak.folder / "data/dev.csv")
    ]
    write(yoyak.folder / "answers/dev.csv", answers)
    yoyak("import", "team", yoyak.folder / "answers/dev.csv", "--data", yoyak.folder / "data")
    compared = json.loads(yoyak("compare", "--json").stdout)
    assert {one["system"] for one in compared["standings"]} == {"team", *runs(yoyak)}


def runs(yoyak) -> list[str]:
    return [one["run"] for one in json.loads(yoyak("status", "--json").stdout)["runs"]]


def replace_dialogues(path: Path) -> None:
    """Give every id of ``path`` the dialogue of another row."""
    rows = read(path)
    others = [row["dialogue"] for row in rows[1:] + rows[:1]]
    write(path, [{**row, "dialogue": text} for row, text in zip(rows, others, strict=True)])


def test_a_replaced_test_file_is_answered_anew_and_nothing_else_is_done_again(yoyak):
    folder = yoyak.folder / "data"
    replace_dialogues(folder / "test.csv")
    again = yoyak("run", "lead", "--data", folder)
    assert_answers(submitted(again.stdout, yoyak.folder), folder / "test.csv")
    assert "test summaries" in again.stderr
    assert "training" not in again.stderr
    assert "dev summaries" not in again.stderr


def test_answers_to_another_test_file_are_not_handed_in(yoyak):
    folder = yoyak.folder / "data"
    replace_dialogues(folder / "test.csv")
    refused = yoyak("submit", "--data", folder, check=False)
    assert refused.returncode == 65
    assert "test.csv" in refused.stderr
    assert "yoyak run" in refused.stderr
    assert not (yoyak.folder / "workspace/submissions/2").exists()


def test_runs_on_other_dialogues_with_the_same_references_are_not_compared(yoyak):
    """Only the dialogues of dev differ: one figure is above the other, and says nothing."""
    other = data_set(yoyak.folder / "other", stop=None)
    replace_dialogues(other / "dev.csv")
    yoyak("run", "lead", "--data", other)
    bare = yoyak("compare", check=False)
    assert (bare.returncode, bare.stdout) == (2, "")
    named = yoyak("compare", *runs(yoyak), check=False)
    assert named.returncode == 65
    assert "different dialogues" in named.stderr
