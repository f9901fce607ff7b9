"""Studies on the real command line: killed at any moment they end as if nothing had happened."""

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.outcomes import study_outcome
from support.studies import RATED
from yoyak.config import load
from yoyak.data import sample
from yoyak.runs.study import Study, StudyFolder, StudyKind
from yoyak.runs.workspace import Workspace

TESTS = Path(__file__).parents[1]
DOUBLES = TESTS / "support" / "doubles"


@pytest.fixture(autouse=True)
def doubles(monkeypatch):
    monkeypatch.syspath_prepend(DOUBLES)
    monkeypatch.setenv("PYTHONPATH", str(DOUBLES), prepend=os.pathsep)


FORKING = """
import sys
import peft, torch, transformers
from support.forked_worker import use_forked_workers
import yoyak.engine.pipeline.finetune, yoyak.scheduler.worker
from yoyak.cli import main

use_forked_workers()
main(sys.argv[1:])
"""
"""The command line with workers that are forked: torch is imported once for all runs of a study."""


def started(folder: Path, *words: object, forking: bool = False) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "YOYAK_LANG": "en", "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join((str(TESTS), environment["PYTHONPATH"]))
    program = ["-c", FORKING] if forking else ["-m", "yoyak"]
    with (folder / "talk.txt").open("ab") as talk:
        return subprocess.Popen(
            [sys.executable, *program, "tune", "train", *map(str, words)],
            cwd=folder, env=environment, stdout=talk, stderr=talk, start_new_session=True,
        )  # fmt: skip


def study_of(folder: Path, name: str) -> Study | None:
    return StudyFolder(Workspace(folder / "workspace").studies_folder, StudyKind.TRAIN, name).read()


def kill_at_run(folder: Path, process: subprocess.Popen[bytes], number: int) -> None:
    """Wait until the run of that number is at work, then kill the command and its worker."""
    deadline = time.monotonic() + 3000
    while time.monotonic() < deadline and process.poll() is None:
        runs = Workspace(folder / "workspace").runs()
        holder = runs[number].holder() if len(runs) > number else None
        if holder is not None and holder.pid:
            os.killpg(process.pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(holder.pid, signal.SIGKILL)
            process.wait()
            return
        time.sleep(0.01)
    pytest.fail((folder / "talk.txt").read_text("utf-8"))


def finished(folder: Path, *words: object, forking: bool = False) -> Study:
    process = started(folder, *words, forking=forking)
    assert process.wait(timeout=3000) == 0, (folder / "talk.txt").read_text("utf-8")
    name = load.recipe_name(str(words[0]))
    return study_of(folder, name)


def killed_twice(folder: Path, at: tuple[int, int], *words: object, forking: bool = False) -> Study:
    for number in at:
        kill_at_run(folder, started(folder, *words, forking=forking), number)
    return finished(folder, *words, forking=forking)


def rated(tmp_path: Path) -> Path:
    path = tmp_path / "rated.toml"
    path.write_text(f'engine = "doubles:Rated"\n{RATED}', encoding="utf-8")
    return path


def in_folders(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    return tmp_path / "whole", tmp_path / "killed"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_study_that_is_killed_ends_with_the_same_trials_and_winner(tmp_path, data):
    whole, killed = in_folders(tmp_path)
    words = (rated(tmp_path), "--trials", 4, "--seeds", 1, "--data", data)
    expected = study_outcome(finished(whole, *words))
    assert len(expected["trials"]) == 6
    kill_at_run(killed, started(killed, *words), 1)
    assert study_outcome(finished(killed, *words)) == expected


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_study_of_eight_trials_killed_twice_ends_as_if_it_had_not_been(tmp_path, data):
    whole, killed = in_folders(tmp_path)
    words = (rated(tmp_path), "--trials", 8, "--seeds", 3, "--data", data)
    expected = study_outcome(finished(whole, *words))
    assert {str(one[3]) for one in expected["trials"]} == {"finished", "pruned"}
    assert expected["verdict"].comparison.proven
    assert study_outcome(killed_twice(killed, (2, 6), *words)) == expected


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.torch
def test_a_study_of_the_toy_killed_twice_ends_as_if_it_had_not_been(tmp_path):
    whole, killed = in_folders(tmp_path)
    few = some_rows(tmp_path / "data", train=200, dev=24, test=4)
    sets = ("train.max_steps=6", "train.save_every_steps=2", "decode.max_new_tokens=8")
    words = ("tiny-bart", "--trials", 8, "--seeds", 1, "--data", few)
    words = (*words, *(word for spec in sets for word in ("--set", spec)))
    expected = study_outcome(finished(whole, *words, forking=True))
    assert len(expected["trials"]) >= 8
    assert study_outcome(killed_twice(killed, (1, 5), *words, forking=True)) == expected


def some_rows(folder: Path, **rows: int) -> Path:
    """The first rows of the sample's splits."""
    folder.mkdir()
    for name, count in rows.items():
        with (sample.folder() / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            kept = list(csv.reader(file))[: count + 1]
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(kept)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_finished_study_is_shown_frozen_and_extended(tmp_path, data, command_line):
    yoyak = command_line(tmp_path)
    rated(tmp_path)
    words = ("tune", "train", "rated.toml", "--data", data, "--seeds", 2)
    first = yoyak(*words, "--trials", 6, "--freeze", "--json")
    shown = json.loads(first.stdout)
    assert "6 trials, then 4 runs with fresh seeds" in first.stderr
    assert shown["verdict"]["comparison"]["interval"]["low"] > 0
    assert "train rated" in yoyak("status").stdout
    # The answers to test are no summaries, which is said last; the run was there.
    frozen = yoyak("run", "rated-tuned.toml", "--data", data, check=False)
    assert "Everything is already done" in frozen.stderr
    assert f"-rated-train-{shown['verdict']['winner']:02d}-" in frozen.stderr
    report = (tmp_path / "workspace/report/report.md").read_text("utf-8")
    assert "Study of training: rated" in report
    again = yoyak(*words, "--trials", 6, "--json")
    assert json.loads(again.stdout) == shown
    longer = json.loads(yoyak(*words, "--trials", 7, "--json").stdout)
    assert longer["trials"][:6] == shown["trials"]
    assert len(longer["trials"]) == 7
    refused = yoyak(*words, "--set", "train.epochs=3", check=False)
    assert (refused.returncode, "other settings" in refused.stderr) == (2, True)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_prompts_and_bases_are_compared_in_rounds(tmp_path, data, command_line):
    yoyak = command_line(tmp_path)
    rated(tmp_path)
    near = 'extends = "rated.toml"\n[train]\nlearning_rate = 5e-4\n[prompt]\nstyle = "source"\n'
    (tmp_path / "near.toml").write_text(near, encoding="utf-8")
    (tmp_path / "prompts.toml").write_text('[[prompt]]\ninstruction = "요약"\n', encoding="utf-8")
    words = ("tune", "prompt", "near.toml", "--prompts", "prompts.toml", "--seeds", 2)
    prompts = json.loads(yoyak(*words, "--data", data, "--json").stdout)
    assert [one["rung"] for one in prompts["trials"]] == [0, 0, 1, 1][: len(prompts["trials"])]
    # An engine that reads no prompt answers the same under both: nothing is better than the recipe.
    assert prompts["verdict"]["winner"] == prompts["trials"][2]["number"]
    assert prompts["verdict"]["comparison"] is None
    bases = ("rated.toml", "near.toml", "none.toml")
    shown = yoyak("screen", *bases, "--data", data, check=False)
    assert (shown.returncode, "none.toml" in shown.stderr) == (66, True)
    shown = yoyak("screen", *bases[:2], "--data", data)
    assert "order candidates for training" in " ".join(shown.stdout.split())
    assert "screen bases" in yoyak("status").stdout
