"""``yoyak predict`` as a user types it: any file, standard input, kills, bounded memory."""

import csv
import gzip
import json
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from yoyak.data import sample
from yoyak.runs.workspace import Workspace

BENCHMARK = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "predict.py"))
dialogues, MEASURED, SHORT = (BENCHMARK[name] for name in ("dialogues", "MEASURED", "SHORT"))
TEST = sample.folder() / "test.csv"
PEAK_MEGABYTES = 100
"""Measured: 46 MB, for 20,000 rows and for a million."""


def table(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def environment():
    return {**os.environ, "YOYAK_LANG": "en", "OMP_NUM_THREADS": "1"}


def test_csv_tsv_json_lines_gzip_and_standard_input_give_the_same_summaries(road, tmp_path):
    rows = table(TEST)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (tmp_path / "test.jsonl").write_text(lines, "utf-8")
    (tmp_path / "test.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "test.csv.gz").write_bytes(gzip.compress(TEST.read_bytes()))
    with (tmp_path / "test.tsv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys(), delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)
    road("predict", TEST, "--to", tmp_path / "csv")
    expected = (tmp_path / "csv/predictions.csv").read_bytes()
    (run,) = Workspace(road.folder / "workspace").runs()
    own = {one.id: one.text for one in run.predictions("test")}
    assert {row["id"]: row["summary"] for row in table(tmp_path / "csv/predictions.csv")} == own
    for number, name in enumerate(("test.jsonl", "test.jsonl.gz", "test.csv.gz", "test.tsv")):
        road("predict", tmp_path / name, "--to", tmp_path / str(number))
        assert (tmp_path / str(number) / "predictions.csv").read_bytes() == expected, name
    piped = subprocess.run(
        [sys.executable, "-m", "yoyak", "predict", "-", "--to", tmp_path / "piped", "--json"],
        cwd=road.folder, env=environment(), input=(tmp_path / "test.jsonl.gz").read_bytes(),
        capture_output=True, check=True,
    )  # fmt: skip
    assert (tmp_path / "piped/predictions.csv").read_bytes() == expected
    said = json.loads(piped.stdout)
    assert (said["rows"], said["new_rows"], said["run"]) == (24, 24, run.name)
    assert said["path"] == str(tmp_path / "piped/predictions.csv")
    assert said["stops"] == {"copied": 24}
    assert said["rows_per_second"] > 0


def test_what_predict_writes_predict_score_and_import_read(road, tmp_path):
    dev = sample.folder() / "dev.csv"
    road("predict", dev, "--to", tmp_path / "dev", "--run", "lead")
    said = json.loads(road("score", tmp_path / "dev/predictions.csv", dev, "--json").stdout)
    (run,) = Workspace(road.folder / "workspace").runs()
    assert said["mean"] == pytest.approx(100 * run.scorecard("dev").rouge.mean)


def test_the_same_command_again_has_nothing_to_do(road, tmp_path):
    road("predict", TEST, "--to", tmp_path / "out", "--shard-rows", 10)
    said = road("predict", TEST, "--to", tmp_path / "out", "--shard-rows", 10)
    assert "24 rows, 0 of them new" in said.stdout
    assert "flags: prompt_echo 24" in said.stdout


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("none.csv", "--to", "out"), 66, "none.csv: no such file"),
        ((TEST, "--to", "out", "--columns", "talk=x"), 2, "names no columns"),
        ((TEST, "--to", "out", "--columns", "dialogue=x"), 65, "no column x; found fname"),
        ((TEST, "--to", "out", "--format", "xlsx"), 2, "one of csv, jsonl"),
        ((TEST, "--to", "out", "--run", "nobody"), 66, "no run 'nobody'"),
        ((TEST, "--to", "workspace"), 73, "so nothing is written there"),
        ((TEST, "--to", "out-\udcff"), 2, "is not UTF-8"),
    ],
)
def test_a_command_that_cannot_work_says_why(road, words, code, message):
    said = road("predict", *words, check=False)
    assert said.returncode == code
    assert message in said.stderr
    assert not (road.folder / "out/predictions.csv").exists()


# --- kills and memory ----------------------------------------------------------------------------


def start(road, *words, stdin=None):
    with (road.folder / "predict.txt").open("ab") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "yoyak", "predict", *map(str, words)],
            cwd=road.folder, env=environment(), stdin=stdin, stdout=said, stderr=said,
        )  # fmt: skip


def wait_for_shard(process, out: Path, shard: int) -> None:
    """Wait until the shard is there, or everything is done."""
    until = time.monotonic() + 300
    while not (out / f"shards/{shard:06d}").exists() and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.002)


def test_killed_at_any_time_it_ends_as_if_nothing_had_happened(road, tmp_path, long):
    rows = 20_000 if long else 2000
    source = dialogues(tmp_path / "in.csv", rows)
    out, whole = tmp_path / "out", tmp_path / "whole"
    road("predict", source, "--to", whole, "--shard-rows", 100)
    for kill in range(10 if long else 2):
        process = start(road, source, "--to", out, "--shard-rows", 100)
        wait_for_shard(process, out, 5 + 10 * kill)
        process.kill()
        assert process.wait() in {-signal.SIGKILL, 0}
    road("predict", source, "--to", out, "--shard-rows", 100)
    assert (out / "predictions.csv").read_bytes() == (whole / "predictions.csv").read_bytes()
    assert [row["id"] for row in table(out / "predictions.csv")] == [
        f"row_{n}" for n in range(rows)
    ]


def test_ctrl_c_ends_after_the_shard_and_the_same_command_goes_on(road, tmp_path):
    """The rows come through a pipe that the test holds open, so nothing depends on the clock."""
    source = dialogues(tmp_path / "in.csv", 4000)
    content = source.read_bytes()
    out, words = tmp_path / "out", ("--to", tmp_path / "out", "--shard-rows", 100)
    process = start(road, "-", *words, stdin=subprocess.PIPE)
    process.stdin.write(content[: len(content) // 2])
    process.stdin.flush()
    wait_for_shard(process, out, 3)
    process.send_signal(signal.SIGINT)
    process.communicate(content[len(content) // 2 :])
    assert process.returncode == 75
    said = (road.folder / "predict.txt").read_text("utf-8")
    assert "rows saved → the same command goes on" in said
    assert "Traceback" not in said
    summary = json.loads(road("predict", source, *words, "--json").stdout)
    assert 0 < summary["new_rows"] <= 3700
    assert [row["id"] for row in table(out / "predictions.csv")] == [
        f"row_{n}" for n in range(4000)
    ]


@pytest.mark.parametrize("rows", [20_000, pytest.param(200_000, marks=pytest.mark.slow)])
def test_memory_does_not_grow_with_the_file(road, tmp_path, rows, say):
    source = dialogues(tmp_path / "in.csv", rows)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, "predict", source, "--to", tmp_path / "out", "--json"],
        cwd=road.folder, env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    summary, kilobytes = done.stdout.splitlines()
    assert json.loads(summary)["rows"] == rows
    megabytes = int(kilobytes) / 1024
    say(f"predict, {rows:,} rows with lead: peak {megabytes:.0f} MB")
    assert megabytes < PEAK_MEGABYTES


# --- a model -------------------------------------------------------------------------------------


@pytest.mark.torch
@pytest.mark.slow  # quicker: lead above; an exported toy, torch/formats/test_predictor.py
def test_a_trained_toy_summarises_a_file_as_it_did_test(yoyak, data):
    pytest.importorskip("torch")
    words = [word for spec in SHORT for word in ("--set", spec)]
    yoyak("run", "tiny-bart", "--data", data, *words)
    (run,) = Workspace(yoyak.folder / "workspace").runs()
    parts = ("predict", data / "test.csv", "--to", "out", "--shard-rows", 5, "--json")
    said = yoyak.in_a_process(*parts)
    assert json.loads(said.stdout)["stops"].keys() <= {"stop_token", "length"}
    rows = {row["id"]: row for row in table(yoyak.folder / "out/predictions.csv")}
    own = {one.id: one for one in run.predictions("test")}
    assert {key: row["summary"] for key, row in rows.items()} == {
        key: one.text for key, one in own.items()
    }
    assert {key: row["tokens"] for key, row in rows.items()} == {
        key: str(one.tokens) for key, one in own.items()
    }
    assert list(rows) == [row["fname"] for row in table(data / "test.csv")]
