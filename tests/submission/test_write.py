"""The writer refuses what was not scored, and is never caught half-way."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from yoyak.errors import BadData, CannotWrite, DiskFull, InputMissing
from yoyak.submission import write
from yoyak.submission.manifest import read_manifest
from yoyak.submission.write import check_file, write_submission


def tree(folder: Path) -> dict[str, bytes]:
    """Everything that counts as a submission below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "/." not in f"/{path.relative_to(folder)}"
    }


def test_a_scored_answer_is_written_checked_and_described(draft, evidence, good, tmp_path):
    written = write_submission(draft, evidence, tmp_path / "submissions")
    path = Path(written.path)
    assert path == tmp_path / "submissions" / "1" / "submission.csv"
    assert path.read_bytes() == good
    manifest = read_manifest(Path(written.manifest))
    assert (manifest.sha256, manifest.rows) == (written.sha256, 120)
    assert manifest.members == draft.members
    assert manifest.dev == draft.dev
    assert check_file(path, evidence).accepted


def test_numbers_go_up_and_nothing_is_overwritten(draft, evidence, tmp_path):
    first, second = (write_submission(draft, evidence, tmp_path) for _ in range(2))
    assert [Path(one.path).parent.name for one in (first, second)] == ["1", "2"]
    (tmp_path / "7").mkdir()
    assert Path(write_submission(draft, evidence, tmp_path).path).parent.name == "8"


def test_a_file_that_is_no_text_is_named_for_what_it_is(evidence, tmp_path):
    path = tmp_path / "submission.csv"
    path.write_bytes(b"\x1f\x8b\x08" + bytes(20))
    with pytest.raises(BadData, match="compressed with gzip"):
        check_file(path, evidence)


def test_the_order_of_predictions_does_not_matter(draft, evidence, good, tmp_path):
    turned = msgspec.structs.replace(draft, predictions=draft.predictions[::-1])
    assert Path(write_submission(turned, evidence, tmp_path).path).read_bytes() == good


def test_an_answer_that_nobody_scored_cannot_be_written(draft, evidence, tmp_path):
    unscored = msgspec.structs.replace(draft, dev=None)
    with pytest.raises(BadData, match="no dev score") as caught:
        write_submission(unscored, evidence, tmp_path / "out")
    assert caught.value.exit_code == 65
    with pytest.raises(BadData, match="no dev score"):
        write_submission(draft, evidence._replace(outputs=None), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_refused_file_names_rule_row_and_text_and_writes_nothing(draft, evidence, tmp_path):
    bad = msgspec.structs.replace(draft.predictions[3], text="#Person1#은 웃습니다.<pad>")
    broken = (*draft.predictions[:3], bad, *draft.predictions[4:])
    with pytest.raises(BadData, match="model-token") as caught:
        write_submission(
            msgspec.structs.replace(draft, predictions=broken), evidence, tmp_path / "out"
        )
    assert "row 4 test_3: <pad>" in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("change", ["drop", "double", "rename"])
def test_ids_must_be_the_samples(change, draft, evidence, tmp_path):
    first = draft.predictions[0]
    renamed = msgspec.structs.replace(first, id="dev_0")
    predictions = {
        "drop": draft.predictions[1:],
        "double": (first, *draft.predictions),
        "rename": (renamed, *draft.predictions[1:]),
    }[change]
    with pytest.raises(BadData) as caught:
        write_submission(
            msgspec.structs.replace(draft, predictions=predictions), evidence, tmp_path
        )
    assert caught.value.key == "submission.wrong-ids"
    assert tree(tmp_path) == {}


class Killed(BaseException):
    pass


@pytest.mark.parametrize("at", range(1, 22))
def test_a_crash_at_any_step_leaves_the_old_or_the_whole_new(
    at, draft, evidence, tmp_path, monkeypatch
):
    write_submission(draft, evidence, tmp_path)
    before = tree(tmp_path)
    calls = 0

    def counted(real):
        def step(*arguments, **named):
            nonlocal calls
            calls += 1
            if calls == at:
                raise Killed
            return real(*arguments, **named)

        return step

    steps = [(os, "fsync"), (os, "open"), (write.shutil, "rmtree")]
    steps += [(Path, name) for name in ("mkdir", "open", "rename", "replace", "unlink")]
    for holder, name in steps:
        monkeypatch.setattr(holder, name, counted(getattr(holder, name)))
    crashed = False
    try:
        write_submission(draft, evidence, tmp_path)
    except Killed:
        crashed = True
    monkeypatch.undo()
    after = tree(tmp_path)
    assert {name: after[name] for name in before} == before
    new = after.keys() - before.keys()
    assert new in (set(), {"2/submission.csv", "2/manifest.json"})
    if not crashed:
        assert calls < at
    for name in new & {"2/submission.csv"}:
        assert check_file(tmp_path / name, evidence).accepted
    assert Path(write_submission(draft, evidence, tmp_path).path).parent.name == (
        "3" if new else "2"
    )


KILLED = """
import sys, pickle
from pathlib import Path
from yoyak.submission.write import write_submission
draft, evidence = pickle.loads(Path(sys.argv[1]).read_bytes())
print("ready", flush=True)
while True:
    write_submission(draft, evidence, Path(sys.argv[2]))
"""


@pytest.mark.process
def test_a_killed_writer_leaves_only_whole_submissions(draft, evidence, good, tmp_path, long):
    import pickle

    (tmp_path / "in").write_bytes(pickle.dumps((draft, evidence)))
    out = tmp_path / "out"
    for written in (1, 2, 4) if long else (2,):  # killed somewhere in the next one
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, tmp_path / "in", tmp_path / "out"],
            stdout=subprocess.PIPE,
        )
        child.stdout.readline()
        while sum(path.name.isdigit() for path in out.glob("*")) < written:
            assert child.poll() is None
            time.sleep(0.001)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    write_submission(draft, evidence, out)
    found = [path for path in out.iterdir() if path.name.isdigit()]
    assert found
    for path in found:
        assert (path / "submission.csv").read_bytes() == good
        assert read_manifest(path / "manifest.json").rows == 120


def test_a_full_disk_is_told_apart(draft, evidence, tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull, match="the disk is full"):
        write_submission(draft, evidence, tmp_path)
    assert tree(tmp_path) == {}


def test_a_disk_that_lies_is_caught(draft, evidence, tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "read_bytes", lambda _: b"something else")
    with pytest.raises(CannotWrite, match="does not read back"):
        write_submission(draft, evidence, tmp_path)
    monkeypatch.undo()
    assert tree(tmp_path) == {}


def test_a_missing_file_cannot_be_checked(evidence, tmp_path):
    with pytest.raises(InputMissing, match="cannot be read: No such file"):
        check_file(tmp_path / "nothing.csv", evidence)


def test_the_file_reads_as_any_program_would_read_it(draft, evidence, tmp_path):
    path = Path(write_submission(draft, evidence, tmp_path).path)
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["fname"] for row in rows] == [one.id for one in draft.predictions]
    assert [row["summary"] for row in rows] == [one.text for one in draft.predictions]
