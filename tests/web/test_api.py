"""The OpenAI-compatible API: asked by the official client, by curl's means, and by the careless."""

import io
import json
import socket
import sys
import threading
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType

import msgspec
import pytest

from yoyak.config.project import Project
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.engine import GenerationStopped
from yoyak.prediction.model import trained_model
from yoyak.prediction.resident_model import WARM_UP, Limits, ResidentModel
from yoyak.runs.workspace import Workspace
from yoyak.scheduler.create_runs import create_runs
from yoyak.values import Prediction, StopReason
from yoyak.web import app
from yoyak.web.api import CLIENT_GONE, MOST_BYTES, Api, ApiSettings
from yoyak.web.playground import Playground, _TryRequest

pytestmark = pytest.mark.skipif(
    find_spec("starlette") is None, reason="the [serve] extra is missing"
)

TALK = "#Person1#: 내일 세 시에 정문에서 만날까?\n#Person2#: 네, 좋아요."
SUMMARY = "#Person1#과 #Person2#는 내일 세 시에 정문에서 만나기로 합니다."
KEY = "0123456789abcdef"


class Writer:
    """Writes ``SUMMARY`` word by word; waits until it is opened."""

    def __init__(self):
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Semaphore(0)
        self.stopped = threading.Event()
        self.last = SUMMARY

    def generate(self, job):
        if job.dialogues[0].turns[0].text != WARM_UP.turns[0].text:
            self.entered.release()
        while not self.open.wait(0.001):
            if job.stop_asked():
                self.stopped.set()
                raise GenerationStopped
        for one in job.dialogues:
            words = SUMMARY.split(" ")
            for count in range(1, len(words)):
                job.on_text(one.id, " ".join(words[:count]))
            yield Prediction(
                id=one.id, text=self.last, raw=self.last, tokens=9, stop=StopReason.STOP_TOKEN
            )


@pytest.fixture
def writer(monkeypatch):
    made = Writer()
    module = ModuleType("writers")
    module.Writer = lambda: made
    monkeypatch.setitem(sys.modules, "writers", module)
    return made


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    workspace = Workspace(tmp_path_factory.mktemp("api") / "workspace")
    (run,) = create_runs(workspace, read_corpus(sample.folder()), ["lead"], Project(), ())
    return trained_model(run)


@pytest.fixture
def served(trained, writer):
    """Makes a test client of the API, and the log it writes."""
    from starlette.testclient import TestClient

    recipe = msgspec.structs.replace(trained.recipe, engine="writers:Writer")

    @contextmanager
    def make(settings=ApiSettings(), limits=Limits(waiting=1, batch=1)):  # noqa: B008
        log = io.StringIO()
        with ResidentModel(trained._replace(name="m", recipe=recipe), limits) as model:
            api = Api({"m": model}, settings, log)
            try:
                with TestClient(app.api_application(api), base_url="http://127.0.0.1") as client:
                    yield client, log
            finally:
                writer.open.set()

    return make


@contextmanager
def listening(application):
    """The application behind a real socket, in a thread."""
    import uvicorn

    config = uvicorn.Config(application, port=0, log_level="error", timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    started = threading.Event()
    startup = server.startup

    async def noted(*given, **named):
        await startup(*given, **named)
        started.set()

    server.startup = noted
    thread = threading.Thread(target=server.run)
    thread.start()
    assert started.wait(30)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def lines(log):
    return [json.loads(line) for line in log.getvalue().splitlines()]


@pytest.mark.skipif(find_spec("openai") is None, reason="the OpenAI client is missing")
def test_the_official_client_gets_models_completions_and_streams(served):
    from openai import OpenAI

    with (
        served(ApiSettings(keys=frozenset({KEY}))) as (client, log),
        listening(client.app) as port,
        OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=KEY) as openai,
    ):
        assert [model.id for model in openai.models.list()] == ["m"]
        asked = {"model": "m", "messages": [{"role": "user", "content": TALK}]}
        completion = openai.chat.completions.create(**asked)
        chunks = list(openai.chat.completions.create(**asked, stream=True))
    assert completion.choices[0].message.content == SUMMARY
    assert completion.choices[0].finish_reason == "stop"
    deltas = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices[0].delta.content]
    assert "".join(deltas) == SUMMARY
    assert len(deltas) > 3  # it came in parts
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert {chunk.id for chunk in chunks} != {completion.id}
    assert [line["status"] for line in lines(log)] == [200, 200, 200]


def test_a_dialogue_may_be_text_or_turns(served):
    turns = [{"speaker": "#Person1#", "text": "내일 만날까?"}, {"speaker": "민호", "text": "네."}]
    with served() as (client, _):
        answers = [
            client.post("/v1/summaries", json={"dialogue": given}).json() for given in (TALK, turns)
        ]
    assert [answer["summary"] for answer in answers] == [SUMMARY, SUMMARY]
    assert answers[0] == {
        "model": "m", "summary": SUMMARY, "stop": "stop_token", "tokens": 9, "flags": [],
    }  # fmt: skip


def test_no_request_passes_without_one_of_the_keys(served):
    other = "fedcba9876543210"
    with served(ApiSettings(keys=frozenset({KEY, other}))) as (client, _):
        for route in ("/v1/models", "/metrics"):
            assert client.get(route).status_code == 401
            for wrong in (f"Bearer {KEY}x", KEY, f"Basic {KEY}", "Bearer ", "Bearer \xe9"):
                answer = client.get(route, headers={"Authorization": wrong.encode("latin-1")})
                assert answer.status_code == 401
                assert answer.json()["error"]["type"] == "authentication_error"
            for right in (KEY, other):
                headers = {"Authorization": f"Bearer {right}"}
                assert client.get(route, headers=headers).status_code == 200
        assert client.get("/health").json()["status"] == "ok"


ONE = [{"role": "user", "content": TALK}]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"model": "x", "messages": ONE}, 404, "there are: m"),
        ({"model": "m", "messages": ONE, "temperature": 0.7}, 400, "temperature"),
        ({"model": "m", "messages": ONE, "max_tokens": 5}, 400, "max_tokens"),
        ({"model": "m", "messages": ONE, "n": 2}, 400, "n"),
        ({"model": "m", "messages": [{"role": "system", "content": "짧게"}, *ONE]}, 400, "one"),
        ({"model": "m", "messages": []}, 400, "one message"),
        ({"model": "m", "messages": [{"role": "user", "content": " \n "}]}, 400, "one turn"),
        ({"model": "m", "messages": [{"role": "user", "content": "가" * 20_001}]}, 400, "20000"),
        ({"model": "m"}, 400, "messages"),
        ([], 400, "object"),
    ],
)
def test_what_would_change_the_system_or_is_no_dialogue_is_refused(served, body, status, words):
    with served() as (client, _):
        answer = client.post("/v1/chat/completions", json=body)
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]


def test_parts_of_text_are_a_dialogue_and_pictures_are_not(served):
    parts = [{"type": "text", "text": line} for line in TALK.splitlines()]
    picture = [{"type": "image_url", "image_url": {"url": "data:"}}]
    with served() as (client, _):
        statuses = [
            client.post(
                "/v1/chat/completions",
                json={"model": "m", "messages": [{"role": "user", "content": content}]},
            ).status_code
            for content in (parts, picture)
        ]
    assert statuses == [200, 400]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (json.dumps({"dialogue": TALK}).encode(), "text/plain", 415),
        (b"{" + b" " * MOST_BYTES, "application/json", 413),
    ],
)
def test_bodies_that_are_no_request_are_refused(served, content, kind, status):
    with served() as (client, _):
        answer = client.post("/v1/summaries", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def post_in_thread(client, statuses):
    def work():
        statuses.append(client.post("/v1/summaries", json={"dialogue": TALK}).status_code)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_full_queue_answers_429_at_once(served, writer):
    with served() as (client, log):
        writer.open.clear()
        statuses = []
        threads = [post_in_thread(client, statuses)]
        writer.entered.acquire()
        threads.append(post_in_thread(client, statuses))
        while client.get("/health").json()["waiting"] == 0:
            pass
        refused = client.post("/v1/summaries", json={"dialogue": TALK})
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
        metrics = client.get("/metrics").text
        assert 'yoyak_waiting{model="m"} 1.0' in metrics
        assert 'yoyak_running{model="m"} 1.0' in metrics
        writer.open.set()
        for thread in threads:
            thread.join()
    assert statuses == [200, 200]
    assert sorted(line["status"] for line in lines(log)) == [200, 200, 200, 429]


def test_a_request_that_takes_too_long_is_ended(served, writer):
    with served(ApiSettings(seconds=0.01)) as (client, _):
        writer.open.clear()
        answer = client.post("/v1/summaries", json={"dialogue": TALK})
        assert answer.status_code == 504
        assert writer.stopped.wait(30)  # the model is free again
        streamed = client.post(
            "/v1/chat/completions", json={"model": "m", "messages": ONE, "stream": True}
        )
    assert '"timeout_error"' in streamed.text


@pytest.mark.parametrize("stream", [False, True])
def test_a_caller_who_leaves_frees_the_model(served, writer, stream):
    body = json.dumps({"model": "m", "messages": ONE, "stream": stream}).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with served() as (client, log), listening(client.app) as port:
        writer.open.clear()
        with socket.create_connection(("127.0.0.1", port)) as caller:
            caller.sendall(head.encode() + body)
            writer.entered.acquire()
        assert writer.stopped.wait(30)
    assert [line["status"] for line in lines(log)] == [CLIENT_GONE]


def test_an_end_that_changes_what_was_sent_is_an_error_not_a_text(served, writer):
    writer.last = "다른 말"
    with served() as (client, _):
        streamed = client.post(
            "/v1/chat/completions", json={"model": "m", "messages": ONE, "stream": True}
        )
    assert "changed what was sent" in streamed.text


def test_the_log_has_no_texts_unless_asked_for(served):
    with served() as (client, log):
        client.post("/v1/summaries", json={"dialogue": TALK})
    (line,) = lines(log)
    assert (line["route"], line["model"], line["status"], line["tokens"]) == (
        "summaries", "m", 200, 9,
    )  # fmt: skip
    assert "만" not in log.getvalue()
    with served(ApiSettings(texts=True)) as (client, log):
        client.post("/v1/summaries", json={"dialogue": TALK})
    assert (lines(log)[0]["dialogue"], lines(log)[0]["summary"]) == (TALK, SUMMARY)


def test_metrics_count_requests_and_tokens(served):
    with served() as (client, _):
        client.post("/v1/summaries", json={"dialogue": TALK})
        client.post("/v1/summaries", json={"dialogue": ""})
        text = client.get("/metrics").text
    for line in (
        'yoyak_requests_total{model="m",route="summaries",status="200"} 1.0',
        'yoyak_requests_total{model="m",route="summaries",status="400"} 1.0',
        'yoyak_generated_tokens_total{model="m"} 9.0',
        'yoyak_request_seconds_count{model="m"} 1.0',
    ):
        assert line in text


def test_resident_models_answer_the_form_without_being_loaded_again(trained, monkeypatch, tmp_path):
    with ResidentModel(trained) as resident:
        monkeypatch.setattr("yoyak.engine.load", None)  # nothing may load it now
        pages = Playground(Workspace(tmp_path), [resident])
        (answer,) = pages.answers(_TryRequest(dialogue=TALK))
    assert (answer.system, answer.problem) == (trained.recipe.name, None)
    assert answer.text.startswith("#Person1#: 내일")
