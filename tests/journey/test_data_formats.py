"""Other corpora's files, odd files and contradicting splits, by the real command line."""

import csv
import hashlib
import json
import os
import threading

import pytest

from support.corpora import FORMATS, write_corpus
from yoyak.runs.workspace import Workspace

TOY = (
    "train.max_steps=2", "train.batch_size=4", "evaluate.rows=2", "decode.kind=greedy",
    "model.scratch.width=32",
)  # fmt: skip
"""The smallest training that goes through every stage."""


def submitted(yoyak, said):
    path = yoyak.folder / said.stdout.rsplit(maxsplit=1)[-1]
    with path.open(encoding="utf-8", newline="") as stream:
        return [row["fname"] for row in csv.DictReader(stream)]


TRAINED = (
    "nikl-contest",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("ai-hub", "samsum", "dialogsum")),
)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_published_format_goes_to_a_submission(yoyak, name):
    write_corpus(yoyak.folder / "data", name)
    said = yoyak("run", "lead", "--data", "data")
    assert submitted(yoyak, said) == [f"test-{number:03}" for number in range(80, 84)]


@pytest.mark.torch
@pytest.mark.parametrize("name", TRAINED)
def test_every_published_format_trains_a_toy(yoyak, name):
    write_corpus(yoyak.folder / "data", name)
    sets = [word for each in TOY for word in ("--set", each)]
    said = yoyak("run", "tiny-bart", "--data", "data", "--skip-plan", *sets)
    assert submitted(yoyak, said) == [f"test-{number:03}" for number in range(80, 84)]
    [run] = Workspace(yoyak.folder / "workspace").runs()
    assert run.state().step == 2


def english(folder):
    """Replace the summaries of dev, and nothing else."""
    path = folder / "dev.json"
    records = json.loads(path.read_text(encoding="utf-8"))
    for number, record in enumerate(records):
        record["summary"] = f"Somebody looks for umbrella number {number}."
    path.write_text(json.dumps(records), encoding="utf-8")


def test_a_split_that_contradicts_the_others_stops_before_a_run_is_created(yoyak):
    english(write_corpus(yoyak.folder / "data", "samsum"))
    said = yoyak("run", "lead", "--data", "data", check=False)
    assert said.returncode == 65
    assert "dev: 4 of 4 summaries are not Korean" in said.stderr
    assert "--allow summary-not-korean" in said.stderr
    assert Workspace(yoyak.folder / "workspace").runs() == []
    checked = yoyak("check", "--data", "data", "--json", check=False)
    lines = [line for line in json.loads(checked.stdout) if line["name"] == "data"]
    assert [line["status"] for line in lines][:2] == ["ok", "bad"]

    said = yoyak("run", "lead", "--data", "data", "--allow", "summary-not-korean")
    assert "data: dev: 4 of 4 summaries are not Korean" in said.stderr
    [run] = Workspace(yoyak.folder / "workspace").runs()
    audit = run.state().audit
    assert audit is not None
    assert audit.allowed == ("summary-not-korean",)
    assert audit.findings[0].name == "summary-not-korean"


def test_the_project_may_allow_it_for_good(yoyak):
    english(write_corpus(yoyak.folder / "data", "samsum"))
    project = yoyak.folder / "yoyak.toml"
    project.write_text(
        '[data]\nfolder = "data"\nallow = ["summary-not-korean"]\n', encoding="utf-8"
    )
    yoyak("run", "lead")
    project.write_text('[data]\nfolder = "data"\nallow = ["summary"]\n', encoding="utf-8")
    assert yoyak("run", "lead", check=False).returncode == 2


def test_an_import_from_a_pipe_records_what_was_read(yoyak):
    folder = write_corpus(yoyak.folder / "data", "samsum")
    yoyak("run", "lead", "--data", "data")
    dev = json.loads((folder / "dev.json").read_text(encoding="utf-8"))
    answers = json.dumps({row["id"]: row["summary"] for row in dev}, ensure_ascii=False).encode()
    pipe = yoyak.folder / "answers.json"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(answers,))
    writer.start()
    yoyak("import", "friends", "answers.json")
    writer.join()
    record = json.loads((yoyak.folder / "workspace/imports/friends/import.json").read_bytes())
    [source] = record["sources"]
    assert (source["sha256"], source["rows"]) == (hashlib.sha256(answers).hexdigest(), 4)


@pytest.mark.parametrize("verb", ["run", "import", "score", "references"])
def test_every_verb_names_a_file_for_what_it_is(yoyak, verb):
    folder = write_corpus(yoyak.folder / "data", "samsum")
    zipped = yoyak.folder / "dev.csv"
    zipped.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    if verb == "run":
        zipped.rename(folder / "test.json")
    words = {
        "run": ("run", "lead", "--data", "data"),
        "import": ("import", "friends", "dev.csv", "--data", "data"),
        "score": ("score", "dev.csv", folder / "dev.json"),
        "references": ("score", folder / "dev.json", "dev.csv"),
    }[verb]
    said = yoyak(*words, check=False)
    assert said.returncode == 65
    assert "Git LFS pointer" in said.stderr
    assert "git lfs pull" in said.stderr
