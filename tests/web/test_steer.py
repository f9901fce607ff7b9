"""The steering page's requests: who may, what a form and a plan say, what may be submitted."""

import json
from importlib.util import find_spec

import pytest

from yoyak.config import load
from yoyak.config.project import Project
from yoyak.data import sample
from yoyak.data.contest import read_contest
from yoyak.data.corpus import read_corpus
from yoyak.events import Failed, Prepared, Queued
from yoyak.prediction.model_cache import ModelCache
from yoyak.web.commands import CommandState
from yoyak.web.steer import SteerContext

pytestmark = [
    pytest.mark.skipif(find_spec("starlette") is None, reason="the [serve] extra is missing"),
    pytest.mark.skipif(
        find_spec("httpx") is None and find_spec("httpx2") is None, reason="httpx is missing"
    ),
]

PATHS = (
    "/api/recipe", "/api/plan", "/api/runs", "/api/checklist", "/api/commands",
    "/api/commands/start",
)  # fmt: skip
HOST = "http://127.0.0.1"
OWN = {"Origin": HOST, "Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="module")
def corpus():
    return read_corpus(sample.folder())


@pytest.fixture
def tokens():
    return []


@pytest.fixture
def freed(monkeypatch):
    """How often models were freed, at each time that they were."""
    found = []
    monkeypatch.setattr(ModelCache, "clear", lambda _: found.append(len(found)))
    return found


@pytest.fixture
def client(workspace, corpus, tokens, freed):
    from starlette.testclient import TestClient

    from yoyak.web import app

    context = SteerContext(
        Project(), lambda: corpus, lambda: read_contest(sample.folder()), ("--workspace", "w")
    )
    pages = app.application(workspace, steer=context, announce=tokens.append)
    pages.state.sessions.new_token()
    with TestClient(pages, base_url=HOST, headers=OWN) as client:
        yield client


@pytest.fixture
def post(client, tokens):
    """Posts as the page does once it is signed in; returns the answer's JSON."""
    answer = client.post("/api/session", json={"token": tokens[0]})
    client.headers["X-Yoyak-Key"] = answer.json()["key"]

    def posted(path, status=200, **body):
        found = client.post(path, json=body)
        assert found.status_code == status, found.text
        return found.json()

    return posted


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_answered_without_a_session(client, path):
    answer = client.post(path, json={})
    assert answer.status_code == 401
    assert "token that yoyak serve has printed" in answer.json()["error"]
    assert client.get(path).status_code == 405


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_answered_to_other_sites_names_or_forms(client, post, path):
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        assert client.post(path, json={}, headers=headers).status_code == 403
    rebound = {"Host": "evil.example", "Origin": "http://evil.example"}
    assert client.post(path, json={}, headers=rebound).status_code == 400
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        form = client.post(path, content=b"{}", headers={"Content-Type": kind})
        assert form.status_code == 415


def test_a_token_that_was_used_is_refused(client, post, tokens):
    assert client.post("/api/session", json={"token": tokens[0]}).status_code == 401
    assert client.post("/api/session", json={"token": tokens[1]}).status_code == 200
    assert len(tokens) == 3


def test_the_page_holds_no_token_and_nothing_of_the_workspace(client, tokens):
    page = client.get("/steer")
    assert page.status_code == 200
    assert tokens[0] not in page.text
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]


def test_the_form_has_every_setting_of_the_recipe(post):
    found = {one["name"]: one for one in post("/api/recipe", recipe="kobart")["settings"]}
    epochs = found["train.epochs"]
    assert (epochs["kind"], epochs["low"], epochs["meaning"][:12]) == ("integer", 0, "At most this")
    assert epochs["origin"] == "recipes/kobart.toml"
    assert "nosuch" in post("/api/recipe", 400, recipe="nosuch")["error"]


@pytest.mark.usefixtures("offline")
def test_a_plan_follows_what_is_typed(post):
    wanted = {"recipe": "qwen3-4b", "gpu": "RTX 3090"}
    one = post("/api/plan", **wanted, sets=["train.epochs=1"])
    two = post("/api/plan", **wanted, sets=["train.epochs=2"])
    assert two["command"] == ("yoyak run --workspace w --set=train.epochs=2 qwen3-4b")
    assert two["steps"] == 2 * one["steps"]
    assert two["high_minutes"] > one["high_minutes"] > 0
    assert two["gpu_gb"] > 20
    assert two["training_gb"] > 0
    assert two["problem"] is None


@pytest.mark.parametrize("wrong", ["train.epochs=-1", "train.nosuch=1", "train.epochs", "a.b=1"])
def test_settings_that_are_no_recipe_are_named(post, wrong):
    found = post("/api/plan", recipe="lead", sets=[wrong])
    assert found["problem"]
    assert found["low_minutes"] is None


def test_runs_have_the_actions_that_fit_them(post, workspace, corpus):
    recipes = [load.resolve(name).recipe for name in ("lead", "tiny-bart", "tiny-qlora")]
    runs = [workspace.find_or_create(one, corpus, lambda: b"{}") for one in recipes]
    for run in runs:
        run.emit(Queued(at=1.0, recipe=run.identity.recipe))
    runs[1].emit(
        Prepared(
            at=2.0, rows=96, rows_shortened=0, steps=144, steps_per_epoch=12, tokens_per_epoch=1,
            supervised_tokens_per_epoch=1, parameters=1, trainable_parameters=1,
        )
    )  # fmt: skip
    runs[2].emit(Queued(at=2.0, recipe="tiny-qlora"))
    runs[2].emit(Failed(at=3.0, kind="x", message="<b>"))
    found = post("/api/runs")
    assert [(one["recipe"], one["actions"]) for one in found] == [
        ("tiny-qlora", ["resume"]),
        ("tiny-bart", ["prioritise", "resume"]),
        ("lead", ["prioritise", "resume"]),
    ]
    assert (found[1]["steps"], found[0]["label"]) == (144, "failed")


def test_the_checklist_says_what_is_missing(post):
    found = post("/api/checklist")
    assert found["systems"] == []
    assert found["checklist"][0]["level"] == "bad"


def test_an_action_is_started_as_its_command(post, monkeypatch, freed):
    started = []

    def start(_, action):
        started.append(action)
        return CommandState(id=1, command="c", started_at=0.0, code=None, output="")

    monkeypatch.setattr("yoyak.web.commands.Commands.start", start)
    action = {"type": "prune", "preview": False}
    assert post("/api/commands/start", action=action)["id"] == 1
    assert not freed
    post("/api/commands/start", action={"type": "start", "recipe": "lead"})
    assert freed  # the run needs the memory of models that were tried
    assert len(started) == 2
    for wrong in ({"type": "shell"}, {"type": "stop", "argv": ["rm"]}, {}):
        post("/api/commands/start", 400, action=wrong)
    assert len(started) == 2


def test_a_session_of_another_server_is_none(client, post):
    client.cookies.clear()
    assert json.loads(client.post("/api/runs", json={}).text)["error"]
    assert client.post("/api/runs", json={}).status_code == 401
