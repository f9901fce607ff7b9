import json

import pytest

from yoyak.errors import BadData, InputMissing, Unavailable
from yoyak.files import atomic
from yoyak.runs import snapshots
from yoyak.runs.snapshots import fetch, push

fsspec = pytest.importorskip("fsspec")


def fill(workspace):
    with atomic.whole_folder(workspace / "runs" / "one" / "weights") as folder:
        (folder / "model.safetensors").write_bytes(b"\x00" * 4096)
    (workspace / "runs/one/events.jsonl").write_bytes(b'{"type":"queued"}\n')
    (workspace / "runs/one/run.lock").write_text("held")
    (workspace / "runs/one/.weights.tmp-7-host").mkdir()
    (workspace / "runs/one/.weights.tmp-7-host/half").write_text("half")
    (workspace / ".lock").touch()


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in {".lock", "run.lock", ".snapshot.json"}
    }


@pytest.fixture(params=["file", "memory"])
def store(request, tmp_path):
    if request.param == "file":
        return str(tmp_path / "store")
    fsspec.filesystem("memory").store.clear()
    return "memory://bucket/store"


def test_a_workspace_that_is_fetched_is_the_one_that_was_pushed(store, tmp_path):
    fill(tmp_path / "one")
    sent = push(tmp_path / "one", store)
    assert fetch(store, tmp_path / "two").copied == sent.copied + sent.unchanged == 4
    expected = contents(tmp_path / "one")
    del expected["runs/one/.weights.tmp-7-host/half"]
    assert contents(tmp_path / "two") == expected
    assert atomic.verify_folder(tmp_path / "two/runs/one/weights") is not None
    assert push(tmp_path / "two", store).copied == 0


def test_only_new_contents_are_sent_and_fetched(store, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    fill(one)
    push(one, store)
    fetch(store, two)
    with (one / "runs/one/events.jsonl").open("ab") as log:
        log.write(b'{"type":"finished"}\n')
    assert push(one, store)[:2] == (1, len((one / "runs/one/events.jsonl").read_bytes()))
    assert fetch(store, two).copied == 1
    assert (two / "runs/one/events.jsonl").read_bytes().count(b"\n") == 2


def test_a_push_that_is_killed_leaves_the_snapshot_before_it(store, tmp_path, monkeypatch):
    one = tmp_path / "one"
    fill(one)
    push(one, store)
    (one / "ledger.jsonl").write_text("{}\n")
    write = snapshots._Store.write

    def die_before_the_snapshot(self, name, content):
        if name == snapshots.SNAPSHOT_FILE:
            raise KeyboardInterrupt
        write(self, name, content)

    monkeypatch.setattr(snapshots._Store, "write", die_before_the_snapshot)
    with pytest.raises(KeyboardInterrupt):
        push(one, store)
    fetch(store, tmp_path / "two")
    assert not (tmp_path / "two" / "ledger.jsonl").exists()
    monkeypatch.setattr(snapshots._Store, "write", write)
    assert push(one, store).copied == 0, "its object is there from before"
    fetch(store, tmp_path / "two")
    assert (tmp_path / "two" / "ledger.jsonl").exists()


def test_what_changed_on_both_sides_is_neither_overwritten_here_nor_there(store, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    fill(one)
    push(one, store)
    fetch(store, two)
    for workspace in (one, two):
        (workspace / "runs/one/events.jsonl").write_text(f"{workspace.name}\n")
    push(one, store)
    with pytest.raises(BadData, match="--fetch"):
        push(two, store)
    with pytest.raises(BadData, match="changed here"):
        fetch(store, two)
    assert (two / "runs/one/events.jsonl").read_text() == "two\n"


def test_a_damaged_object_is_not_taken_for_the_file(tmp_path):
    fill(tmp_path / "one")
    store = tmp_path / "store"
    push(tmp_path / "one", str(store))
    name = json.loads((store / "snapshot.json").read_bytes())["files"]["runs/one/events.jsonl"]
    (store / "objects" / name["sha256"]).write_text("other bytes")
    with pytest.raises(BadData, match="damaged"):
        fetch(str(store), tmp_path / "two")
    assert not (tmp_path / "two/runs/one/events.jsonl").exists()


def test_an_object_that_is_missing_is_named_with_its_file(store, tmp_path):
    fill(tmp_path / "one")
    push(tmp_path / "one", store)
    files, root = fsspec.core.url_to_fs(store)
    name = json.loads(files.cat_file(f"{root}/snapshot.json"))["files"]["runs/one/events.jsonl"]
    files.rm_file(f"{root}/objects/{name['sha256']}")
    with pytest.raises(BadData, match=r"events\.jsonl.*yoyak sync"):
        fetch(store, tmp_path / "two")


@pytest.mark.parametrize("error", [FileNotFoundError("no such bucket"), LookupError("no key")])
def test_a_store_that_fails_is_named_and_no_file_taken_for_removed(error, tmp_path, monkeypatch):
    """Libraries of stores raise what they like; a bucket that is missing is a missing file."""
    fill(tmp_path / "one")

    def fail(self, *given, **how):
        raise error

    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "put_file", fail)
    with pytest.raises(Unavailable, match=rf"memory://bucket/new.*{error.args[0]}"):
        push(tmp_path / "one", "memory://bucket/new")


def test_a_file_that_a_run_removes_meanwhile_is_left_out(store, tmp_path, monkeypatch):
    one = tmp_path / "one"
    fill(one)
    write = snapshots._Store.write

    def remove_first(self, name, content):
        if content == one / "runs/one/events.jsonl":
            content.unlink()
        write(self, name, content)

    monkeypatch.setattr(snapshots._Store, "write", remove_first)
    push(one, store)
    assert fetch(store, tmp_path / "two").copied == 3
    assert not (tmp_path / "two/runs/one/events.jsonl").exists()


def test_a_snapshot_of_a_newer_version_is_refused(tmp_path):
    (tmp_path / "snapshot.json").write_text('{"format": 2, "contents": []}')
    for copy in (lambda: fetch(str(tmp_path), tmp_path / "two"),
                 lambda: push(tmp_path / "two", str(tmp_path))):  # fmt: skip
        with pytest.raises(BadData, match=r"format 2"):
            copy()


def test_a_snapshot_cannot_write_outside_of_the_workspace(tmp_path):
    record = {"size_bytes": 0, "sha256": "0" * 64}
    for name in ("../x", "runs/../../x", "/etc/x"):
        (tmp_path / "snapshot.json").write_text(json.dumps({"files": {name: record}}))
        with pytest.raises(BadData, match=name):
            fetch(str(tmp_path), tmp_path / "two")


def test_a_store_that_is_empty_or_unknown_is_said(tmp_path):
    with pytest.raises(InputMissing, match="no snapshot"):
        fetch(str(tmp_path / "nothing"), tmp_path / "two")
    with pytest.raises(Unavailable, match="nope"):
        push(tmp_path, "nope://bucket/x")


@pytest.mark.slow
def test_s3_holds_a_workspace_as_a_folder_does(tmp_path, monkeypatch):
    """Against moto, which answers as S3 does."""
    pytest.importorskip("s3fs", reason="s3fs is not installed (CONTRIBUTING.md)")
    server = pytest.importorskip("moto.server", reason="moto is not installed (CONTRIBUTING.md)")
    moto = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    moto.start()
    try:
        host, port = moto.get_host_and_port()
        for name, value in {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        }.items():
            monkeypatch.setenv(name, value)
        fsspec.filesystem("s3").mkdir("bucket")
        for check in (
            test_a_workspace_that_is_fetched_is_the_one_that_was_pushed,
            test_only_new_contents_are_sent_and_fetched,
            test_what_changed_on_both_sides_is_neither_overwritten_here_nor_there,
        ):
            check(f"s3://bucket/{check.__name__}", tmp_path / check.__name__)
    finally:
        moto.stop()
