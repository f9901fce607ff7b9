"""The live page in a real browser: it follows the records, and says when the server is gone."""

import os
import shutil
import socket
import subprocess
import sys
import time
from importlib.util import find_spec

import msgspec
import pytest

from yoyak.config import load
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.events import Prepared, Queued, StageStarted, Started, TrainStep
from yoyak.runs.workspace import Workspace
from yoyak.scheduler import provenance

pytestmark = [pytest.mark.browser]
if os.environ.get("YOYAK_REQUIRE_BROWSER") != "1":
    pytestmark.append(
        pytest.mark.skipif(find_spec("uvicorn") is None, reason="the [serve] extra is missing")
    )

SERVER = (
    "import sys; from pathlib import Path; from yoyak.web import app;"
    "from yoyak.runs.workspace import Workspace;"
    "pages = app.application(Workspace(Path(sys.argv[1])));"
    "app.serve(pages, app.HOST, int(sys.argv[2]))"
)


@pytest.fixture
def run(tmp_path):
    corpus = read_corpus(sample.folder())
    record = msgspec.json.encode(provenance.gather(corpus))
    workspace = Workspace(tmp_path / "workspace")
    run = workspace.find_or_create(load.resolve("tiny-bart").recipe, corpus, lambda: record)
    now = time.time()
    run.emit(Queued(at=now, recipe="tiny-bart"))
    run.emit(Started(at=now, pid=1, host="box", attempt=1))
    run.emit(StageStarted(at=now, stage="train"))
    run.emit(
        Prepared(
            at=now, rows=96, rows_shortened=0, steps=144, steps_per_epoch=12, tokens_per_epoch=1,
            supervised_tokens_per_epoch=1, parameters=1, trainable_parameters=1,
        )
    )  # fmt: skip
    step(run, 1)
    return run


def step(run, number):
    run.emit(
        TrainStep(
            at=time.time(), step=number, epoch=number / 12, loss=3.0, learning_rate=1e-3,
            grad_norm=1.0, tokens=1, supervised_tokens=1, rows=8, seconds=0.1,
        )
    )  # fmt: skip


@pytest.fixture
def server(run):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = run.folder.parents[1]
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(folder), str(port)],
        env={**os.environ, "YOYAK_LANG": "en", "OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield process, f"http://127.0.0.1:{port}/"
    process.kill()
    process.wait()


@pytest.fixture
def other(run):
    """A second run of the workspace, which somebody will delete."""
    corpus, recipe = read_corpus(sample.folder()), load.resolve("lead").recipe
    record = msgspec.json.encode(provenance.gather(corpus))
    other = Workspace(run.folder.parents[1]).find_or_create(recipe, corpus, lambda: record)
    other.emit(Queued(at=time.time(), recipe="lead"))
    return other


def test_the_page_follows_the_run_and_says_when_the_server_is_gone(run, other, server, browser):
    from playwright.sync_api import expect

    process, address = server
    context = browser.new_context()
    with run.lock():
        page = context.new_page()
        complaints = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        current = page.locator("section", has=page.locator("#current"))
        pending = page.locator("section", has=page.locator("#pending"))
        expect(current).to_contain_text("1/144", timeout=120_000)
        expect(pending).to_contain_text("lead")
        expect(page.locator("#stale")).to_be_hidden()
        with page.expect_response("**/part", timeout=120_000):
            pass  # the first look only learns which version is shown
        step(run, 2)
        expect(current).to_contain_text("2/144", timeout=120_000)

        with run.log_path.open("ab") as log:
            log.write(b'{"event": "step')
        shutil.rmtree(other.folder)
        expect(pending).to_have_count(0, timeout=120_000)
        expect(current).to_contain_text("2/144")
        expect(page.locator("#stale")).to_be_hidden()

        the_form_is_taken_from_this_server(browser, address)
        process.terminate()
        process.wait(timeout=120)
        expect(page.locator("#stale")).to_be_visible(timeout=120_000)
        expect(current).to_contain_text("2/144")
    context.close()
    assert complaints == []


def the_form_is_taken_from_this_server(browser, address):
    """A browser says where a form comes from, and ours has to be told apart from others."""
    from playwright.sync_api import expect

    page = browser.new_page()
    page.goto(f"{address}try")
    page.fill("#dialogue", "#Person1#: 세 시에 봐요.")
    page.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_contain_text("needs the memory", timeout=120_000)
    expect(page.locator("#dialogue")).to_have_value("#Person1#: 세 시에 봐요.")
    page.close()
