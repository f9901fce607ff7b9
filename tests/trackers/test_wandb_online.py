"""Replaying a run into W&B online, against a fake of its server, adds each point once."""

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec

import msgspec
import pytest

from yoyak.config import load
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.runs.workspace import Workspace
from yoyak.scheduler import provenance
from yoyak.trackers.mirror import mirror

pytestmark = [
    pytest.mark.skipif(find_spec("wandb") is None, reason="wandb is not installed"),
    pytest.mark.filterwarnings("ignore"),
]

PROJECT = {"id": "p", "name": "yoyak", "entity": {"id": "e", "name": "me"}}


class Server(BaseHTTPRequestHandler):
    """The requests of W&B's client: a run's state, its creation, its history lines."""

    lines: dict[int, dict]

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._answer({})

    def do_PUT(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer({})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.path.endswith("/file_stream"):
            for name, file in (json.loads(body).get("files") or {}).items():
                if "history" in name:
                    for place, line in enumerate(file["content"], file["offset"]):
                        self.lines[place] = json.loads(line)
            self._answer({"exitcode": None, "limits": {}})
        elif self.path.endswith("/graphql"):
            asked = json.loads(body)
            self._answer({"data": self._data(asked["query"], asked.get("variables") or {})})
        else:
            self._answer({})  # the client's measurements of itself

    def _data(self, query, variables):
        name = variables.get("name")
        if "RunResumeStatus" in query:
            return {"model": PROJECT | {"bucket": self._held(name) if self.lines else None}}
        if "UpsertBucket" in query:
            held = self._held(name) | {"project": PROJECT}
            return {"upsertBucket": {"bucket": held, "inserted": not self.lines}}
        if "CreateRunFiles" in query:
            return {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": []}}
        return {"viewer": {"id": "u", "entity": "me", "username": "me", "flags": "{}"}}

    def _held(self, name):
        last = json.dumps(self.lines[max(self.lines)]) if self.lines else "{}"
        return {
            "id": "b", "name": name, "displayName": name, "config": "{}", "summaryMetrics": last,
            "historyLineCount": len(self.lines), "eventsLineCount": 0, "logLineCount": 0,
            "historyTail": json.dumps([last]), "eventsTail": "[]", "tags": [],
            "wandbConfig": json.dumps({"t": 1}),
        }  # fmt: skip

    def _answer(self, what):
        body = json.dumps(what).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server(monkeypatch):
    Server.lines = {}
    http = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{http.server_port}")
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    yield Server.lines
    http.shutdown()
    http.server_close()


@pytest.mark.process
def test_with_a_key_every_point_is_sent_once_however_often_it_is_mirrored(tmp_path, make, server):
    corpus = read_corpus(sample.folder())
    record = msgspec.json.encode(provenance.gather(corpus))
    workspace = Workspace(tmp_path / "workspace")
    run = workspace.find_or_create(load.resolve("tiny-bart").recipe, corpus, lambda: record)
    for upto in (17, 24):
        with run.log_path.open("wb") as log:
            log.writelines(msgspec.json.encode(one) + b"\n" for one in make.training(24, upto))
        mirror(workspace, "wandb")
    trained = [line["train/step"] for line in server.values() if "train/loss" in line]
    assert trained == list(range(1, 25))
    assert [line["_step"] for line in server.values()] == list(range(26))
