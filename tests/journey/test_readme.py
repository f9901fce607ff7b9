"""A stranger needs no other source than the README: its commands are run as they stand there."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
COLUMNS = ["fname", "summary"]


def block(heading: str, kind: str) -> str:
    """The first code block of ``kind`` below ``heading``."""
    return re.search(rf"^#+ {heading}$.*?^```{kind}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)[
        1
    ]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def files(tmp_path, data):
    """The three files that the metric's commands name."""
    rows = rows_of(data / "dev.csv")
    (tmp_path / "dev.csv").write_bytes((data / "dev.csv").read_bytes())
    for name, cut in (("predictions", 40), ("ours", 60), ("theirs", 20)):
        with (tmp_path / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows((row["fname"], row["summary"][:cut]) for row in rows)
    return tmp_path


def test_the_commands_of_the_metric_score_and_compare(yoyak, files):
    scored, compared = (
        yoyak(*line.removeprefix("uvx yoyak ").split())
        for line in block("Only use the metric", "console").splitlines()
    )
    assert "predictions.csv: ROUGE of 12 rows" in scored.stdout
    assert "better" in compared.stdout


def test_the_python_example_prints_a_score(capsys):
    exec(block("Only use the metric", "python"), {})
    assert capsys.readouterr().out.startswith("0.")


@pytest.mark.slow  # trains both toys; tests/contract/test_readme.py and test_docs.py are quick
@pytest.mark.torch
def test_a_stranger_gets_from_their_own_csv_to_a_submission(tmp_path, data):
    """Everything below the README's first block, after its own ``. .venv/bin/activate``."""
    folder = tmp_path / "my" / "contest"
    folder.mkdir(parents=True)
    for name in ("train", "dev", "test"):
        (folder / f"{name}.csv").write_bytes((data / f"{name}.csv").read_bytes())
    results = block("See the results of a team-mate", "console")
    script = block("Learn it on your own data", "console") + results.replace("yoyak serve\n", "")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euxc", script],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=500,
        env={**os.environ, "PATH": path, "YOYAK_LANG": "en", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    written = rows_of(tmp_path / "workspace" / "submissions" / "1" / "submission.csv")
    assert [row["fname"] for row in written] == [
        row["fname"] for row in rows_of(folder / "test.csv")
    ]
    assert "Which differences are proven" in done.stdout
    assert (tmp_path / "workspace" / "report" / "index.html").is_file()
    assert len(rows_of(tmp_path / "answers.csv")) >= len(written)
