"""The server: this machine only, nothing given out but the report, systems that can be tried."""

import json
import re
import shutil
from importlib.util import find_spec

import msgspec
import pytest

from yoyak import messages
from yoyak.config import load
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.events import Queued, Started
from yoyak.runs.workspace import Workspace
from yoyak.scheduler import provenance
from yoyak.scheduler.stages import StageContext, run_stages
from yoyak.submission.submit import submit
from yoyak.web import app, playground

pytestmark = [
    pytest.mark.skipif(find_spec("starlette") is None, reason="the [serve] extra is missing"),
    pytest.mark.skipif(
        find_spec("httpx") is None and find_spec("httpx2") is None, reason="httpx is missing"
    ),
]

JSON = {"Content-Type": "application/json"}
TALK = "#Person1#: 내일 몇 시에 만날까?\n#Person2#: 세 시에 정문에서 보자."


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    corpus = read_corpus(sample.folder())
    workspace = Workspace(tmp_path_factory.mktemp("serve") / "workspace")
    record = msgspec.json.encode(provenance.gather(corpus))
    run = workspace.find_or_create(load.resolve("lead").recipe, corpus, lambda: record)
    run.emit(Queued(at=1.0, recipe="lead"))
    run.emit(Started(at=2.0, pid=1, host="box", attempt=1))
    run_stages(StageContext(run, corpus, lambda: False))
    return workspace


@pytest.fixture
def workspace(finished, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "workspace")
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def client(workspace):
    from starlette.testclient import TestClient

    with TestClient(app.application(workspace), base_url=f"http://{app.HOST}") as client:
        yield client


@pytest.mark.process
def test_the_page_is_the_report_with_a_policy(client):
    answer = client.get("/")
    assert answer.status_code == 200
    assert "lead" in answer.text
    assert answer.headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "access-control-allow-origin" not in answer.headers


def test_the_part_leaves_out_what_the_page_has(client):
    page = client.get("/").text
    version = re.search(r'data-version="(\w+)"', page)[1]
    keys = re.findall(r'<section[^>]* aria-labelledby="(\w+)"', client.get("/part").text)
    assert len(keys) > 5
    same = client.get("/part", params={"since": version})
    assert re.findall(r'data-same="(\w+)"', same.text) == keys
    assert same.headers["etag"] == f'"{version}"'
    whole = client.get("/part", params={"lang": "ko"}).text
    assert re.findall(r'<section[^>]* aria-labelledby="(\w+)"', whole) == keys
    assert "진행 보고서" in whole


def test_a_run_that_is_deleted_or_half_written_does_no_harm(client, workspace):
    run = workspace.runs()[0]
    with run.log_path.open("ab") as log:
        log.write(b'{"event": "stepped", "at"')
    assert client.get("/part").status_code == 200
    shutil.rmtree(run.folder)
    assert client.get("/part").status_code == 200


def test_provenance_that_cannot_be_read_is_named_on_the_page(client, workspace):
    run = workspace.runs()[0]
    (run.folder / "provenance.json").write_bytes(b"{")
    page = client.get("/")
    assert page.status_code == 200
    assert f"{run.name}: its provenance is not in this report" in page.text


def test_records_that_cannot_be_shown_are_an_error_with_the_reason(client, workspace):
    path = workspace.runs()[0].folder / "identity.json"
    path.write_bytes(b'{"format": 99}')
    for address in ("/", "/part", "/api/view", "/api/rows"):
        answer = client.get(address)
        assert answer.status_code == 500, address
        assert str(path) in answer.json()["error"]
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8642", ""])
def test_other_hosts_are_refused(client, host):
    assert client.get("/", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
@pytest.mark.parametrize("path", ["/", "/part", "/api/view", "/records/workspace.json"])
def test_only_the_form_is_ever_posted(client, method, path):
    assert getattr(client, method)(path).status_code == 405


def test_records_are_given_out_and_nothing_else(client, workspace, tmp_path):
    run = workspace.runs()[0]
    good = client.get(f"/records/runs/{run.name}/events.jsonl")
    assert good.status_code == 200
    assert good.headers["content-type"].startswith("text/plain")
    assert client.get(f"/records/runs/{run.name}/scores/dev.json").status_code == 200
    (tmp_path / "provenance.json").write_text("{}", encoding="utf-8")
    for path in (
        f"runs/{run.name}/worker.log",
        f"runs/{run.name}/predictions/dev.jsonl",
        "../provenance.json",
        "%2e%2e/provenance.json",
        "..%2fprovenance.json",
        "/etc/passwd",
        "",
        "%00",
        "a" * 400 + "/events.jsonl",
    ):
        assert client.get(f"/records/{path}").status_code == 404, path


def test_every_record_that_the_page_links_is_given_out(client, workspace):
    submit(workspace, read_corpus(sample.folder()))
    links = set(re.findall(r'href="(/records/[^"#]+)', client.get("/").text))
    assert "/records/submissions/1/submission.csv" in links
    assert {link: client.get(link).status_code for link in links} == dict.fromkeys(links, 200)


def test_a_submission_is_downloaded_as_its_bytes(client, workspace):
    folder = workspace.submissions_folder / "1"
    folder.mkdir(parents=True)
    written = "fname,summary\r\ntest_0,#Person1#은 갑니다.\r\n".encode()
    (folder / "submission.csv").write_bytes(written)
    (workspace.runs()[0].folder / "submission.csv").write_bytes(b"")
    got = client.get("/records/submissions/1/submission.csv")
    assert (got.status_code, got.content) == (200, written)
    assert got.headers["content-disposition"].startswith("attachment")
    run = workspace.runs()[0].name
    assert client.get(f"/records/runs/{run}/submission.csv").status_code == 404


def test_a_pasted_dialogue_is_answered_by_every_finished_system(client):
    answer = client.post("/api/try", json={"dialogue": TALK})
    assert answer.status_code == 200
    (tried,) = answer.json()["answers"]
    assert tried["system"] == "lead"
    assert "정문" in tried["text"]
    assert tried["seconds"] >= 0


def test_trying_leaves_the_run_as_it_was(client, workspace):
    run = workspace.runs()[0]
    before = run.log_path.read_bytes()
    client.post("/api/try", json={"dialogue": TALK})
    assert run.log_path.read_bytes() == before


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (json.dumps({"dialogue": "  "}), "no dialogue →"),
        (json.dumps({"dialogue": "가" * (playground.MOST_CHARACTERS + 1)}), "no dialogue"),
        (json.dumps({"talk": "x"}), "talk"),
        ("{", "truncated"),
    ],
)
def test_what_is_no_dialogue_is_refused_with_the_reason(client, body, said):
    answer = client.post("/api/try", content=body.encode(), headers=JSON)
    assert answer.status_code == 400
    assert said in answer.json()["error"]


@pytest.mark.parametrize("path", ["/api/try", "/api/kakaotalk"])
def test_another_sites_request_is_refused(client, path):
    body = {"dialogue": TALK} if path == "/api/try" else {"text": "[지수] [오후 2:30] 안녕"}
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert client.post(path, json=body, headers=headers).status_code == 403
    form = {"Content-Type": "text/plain"}
    assert client.post(path, content=json.dumps(body), headers=form).status_code == 415
    own = {"Origin": f"http://{app.HOST}", "Sec-Fetch-Site": "same-origin"}
    assert client.post(path, json=body, headers=own).status_code == 200


def test_a_working_run_keeps_its_memory(client, workspace):
    with workspace.runs()[0].lock():
        answer = client.post("/api/try", json={"dialogue": TALK})
    assert answer.status_code == 400
    assert "is running and needs the memory" in answer.json()["error"]


def test_the_server_speaks_the_language_it_was_started_in(workspace):
    from starlette.testclient import TestClient

    with messages.speaking("ko"):
        application = app.application(workspace)
    with TestClient(application, base_url=f"http://{app.HOST}") as client:
        assert "진행 보고서" in client.get("/").text
        assert "요약하기" in client.get("/try").text
        refused = [
            client.post("/api/try", json={"dialogue": " "}),
            client.post("/api/try", json={"dialogue": TALK}, headers={"Origin": "http://x"}),
            client.post("/api/ratings", content=b"{}"),
            client.get("/api/rows/dev?start=x"),
            client.get("/api/examples?topic=nosuch"),
        ]
    assert [answer.status_code for answer in refused] == [400, 403, 415, 400, 404]
    for answer in refused:
        assert re.search("[가-힣]", answer.json()["error"])


def test_only_the_pages_own_files_are_given_out(client):
    assert client.get("/files/live.js").headers["content-type"].startswith("text/javascript")
    for name in ("app.py", "..%2fapp.py", "try.html.jinja", ""):
        assert client.get(f"/files/{name}").status_code == 404
